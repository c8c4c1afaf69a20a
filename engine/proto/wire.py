"""Protobuf's wire format: splits a message into fields without decoding their values.

https://protobuf.dev/programming-guides/encoding/
"""

from collections.abc import Iterator
from typing import NamedTuple

from google.protobuf.message import DecodeError


class Field(NamedTuple):
    """One field on the wire: its bytes are data[start:end], those of its value data[value:end]. wire: its wire type."""

    number: int
    wire: int
    start: int
    value: int
    end: int


def fields(data: bytes | memoryview, start: int, end: int) -> Iterator[Field]:
    """The fields of the message in data[start:end]. Raises DecodeError if that is not a message."""
    at = start
    while at < end:
        first, (tag, at) = at, read_varint(data, at, end)
        value = at
        match tag & 7:
            case 0:
                at = read_varint(data, at, end)[1]
            case 1:
                at += 8
            case 2:
                length, value = read_varint(data, at, end)
                at = value + length
            case 5:
                at += 4
            case _:
                raise DecodeError(f"wire type {tag & 7}")
        if at > end or not tag >> 3:
            raise DecodeError("a field that goes beyond its message")
        yield Field(tag >> 3, tag & 7, first, value, at)


def read_varint(data: bytes | memoryview, at: int, end: int) -> tuple[int, int]:
    """The varint at `at`, and the position after it. Raises DecodeError if it does not end before `end`."""
    number = shift = 0
    while at < end and shift < 70:
        number |= (data[at] & 127) << shift
        shift += 7
        at += 1
        if not data[at - 1] & 128:
            return number, at
    raise DecodeError("a number that does not end")


def varint(number: int) -> bytes:
    """A number as a varint, as protobuf and LevelDB write it: seven bits per byte, the lowest first."""
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def delimited(number: int, value: bytes | memoryview) -> tuple[bytes, bytes | memoryview]:
    """The length-delimited field of that number: what precedes the value, and the value."""
    return varint(number << 3 | 2) + varint(len(value)), value
