"""Datum records: a picture with its label, raw or in an encoded picture format, to arrays and back."""

import enum
import os
import zlib

import cv2
import numpy as np
from google.protobuf.message import DecodeError

from engine.errors import DataError
from engine.proto import caffe_pb2 as pb


class Colour(enum.IntEnum):
    """How an encoded picture is decoded; the values are OpenCV's flags."""

    AS_STORED = cv2.IMREAD_UNCHANGED
    COLOUR = cv2.IMREAD_COLOR
    GREY = cv2.IMREAD_GRAYSCALE


def parse(value: bytes) -> pb.Datum:
    """The message of a record. Raises DataError for bytes that are none."""
    try:
        return pb.Datum.FromString(value)
    except DecodeError as e:
        raise DataError(f"not a Datum record ({len(value):,} bytes)") from e


def pixels(datum: pb.Datum, colour: Colour = Colour.AS_STORED) -> np.ndarray:
    """The picture of shape (channels, height, width): uint8, or float32 for `float_data`. Colours are in BGR order.

    Raises DataError for a record without pixels, of another size than it says, or that cannot be decoded.
    """
    if datum.encoded:
        return decode(datum.data, colour)
    shape = (datum.channels, datum.height, datum.width)
    flat = (
        np.frombuffer(datum.data, np.uint8)
        if datum.data
        else np.fromiter(datum.float_data, np.float32, len(datum.float_data))
    )
    if min(shape) <= 0 or flat.size != shape[0] * shape[1] * shape[2]:
        raise DataError(
            f"says {shape[0]}×{shape[1]}×{shape[2]} (channels × height × width) and holds {flat.size:,} values"
        )
    return flat.reshape(shape)


def decode(data: bytes, colour: Colour) -> np.ndarray:
    """The uint8 picture (channels, height, width) of an encoded one (PNG, JPEG, …), by OpenCV, as Caffe does."""
    picture = decode_any_depth(data, colour)
    if picture.dtype != np.uint8:
        raise DataError(
            f"holds a picture of {picture.dtype} values; 8 bits a channel are allowed: force_color and force_gray "
            "make them so"
        )
    return picture


def decode_any_depth(data: bytes, colour: Colour) -> np.ndarray:
    """As `decode`, and of as many bits a channel as the file has, where `colour` is AS_STORED."""
    _check_png(data)
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), colour) if data else None
    except (cv2.error, MemoryError) as e:
        most = int(os.environ["OPENCV_IO_MAX_IMAGE_PIXELS"])
        raise DataError(
            f"holds {len(data):,} bytes that OpenCV cannot decode ({_reason(e)}); it takes pictures of {most:,} pixels "
            "at most (OPENCV_IO_MAX_IMAGE_PIXELS)"
        ) from e
    if picture is None:
        raise DataError(f"holds {len(data):,} bytes that are no picture in a format that OpenCV reads")
    return picture[None] if picture.ndim == 2 else picture.transpose(2, 0, 1)


def raw(picture: np.ndarray, label: int) -> pb.Datum:
    """The record of a uint8 picture of shape (channels, height, width), pixels as they are."""
    channels, height, width = picture.shape
    return pb.Datum(channels=channels, height=height, width=width, data=picture.tobytes(), label=label)


def floats(picture: np.ndarray, label: int | None = None) -> bytes:
    """The bytes of the record of float values of shape (channels, height, width)."""
    channels, height, width = picture.shape
    head = pb.Datum(channels=channels, height=height, width=width, label=label).SerializeToString()
    wire = np.empty(picture.size, [("tag", "u1"), ("value", "<f4")])  # protobuf writes each with its field's tag
    wire["tag"] = pb.Datum.FLOAT_DATA_FIELD_NUMBER << 3 | 5
    wire["value"] = picture.ravel()
    return head + wire.tobytes()


def encoded(data: bytes, label: int) -> pb.Datum:
    """The record of a picture in an encoded format, its file's bytes as they are."""
    return pb.Datum(data=data, label=label, encoded=True)


def _check_png(data: bytes) -> None:
    """OpenCV makes room for what a PNG's chunk says to hold before it looks how much there is: seconds, and gigabytes.
    And it makes something of a picture whose checksums are wrong.

    A chunk is its length, its type, its contents, a checksum of the last two; pictures can do without those whose types
    begin with a small letter. https://www.w3.org/TR/png/#5Chunk-layout
    """
    if not data.startswith(_PNG):
        return
    at = len(_PNG)
    while at + 8 <= len(data):
        length, kind = int.from_bytes(data[at : at + 4]), data[at + 4 : at + 8]
        start, at = at + 4, at + 12 + length
        if at > len(data) + _ROOM:
            raise DataError(f"holds a PNG of {len(data):,} bytes with a chunk that says to have {length:,}")
        if kind.isupper() and at <= len(data) and zlib.crc32(data[start : at - 4]) != int.from_bytes(data[at - 4 : at]):
            raise DataError(f"holds a PNG whose chunk {kind.decode()} does not match its checksum: it is damaged")


_PNG = b"\x89PNG\r\n\x1a\n"
_ROOM = 1 << 24
"""Bytes by which a chunk may be cut short: what can be seen of a picture that is, OpenCV decides."""


def _reason(error: Exception) -> str:
    return str(getattr(error, "err", "")) or str(error) or "not enough memory"
