"""Reads files of named arrays of numbers: HDF5, and MATLAB's .mat of every version.

MATLAB stores arrays column by column: what it calls width × height × channels × number has the memory layout of
Caffe's number × channels × height × width. A .mat of version 7.3 is HDF5, which already has that shape. The shapes of
older files are reversed here. They are read here too, since scipy crashes the whole process on damaged ones. Their
format is MathWorks' "MAT-File Format", of which arrays of numbers need little.
"""

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np

from engine.data import hdf5_file
from engine.errors import EngineError
from engine.host import memory, regular_file

_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
"""numpy's names of the stored number types, by MATLAB's type number."""

_MATRIX, _COMPRESSED = 14, 15

_CLASSES = {1: "cell", 2: "struct", 3: "object", 4: "char", 5: "sparse", 16: "function"}
"""MATLAB's classes other than full arrays of numbers, whose classes are 6 to 15."""

_TYPES_OF_4 = {0: "f8", 1: "f4", 2: "i4", 3: "i2", 4: "u2", 5: "u1"}
"""The same as _TYPES, for version 4."""

_HEADER, _HEADER_OF_4 = 128, 20
_TAG = 8
_PREAMBLE = 1 << 12
"""Bytes at the start of a variable that contain its class, shape and name, which has 63 letters at most."""

_DAMAGE = (OSError, struct.error, zlib.error, ValueError, IndexError)


class Arrays(Protocol):
    """The named arrays of an open file. Its methods raise the error given to `opened`, naming the file."""

    def members(self) -> list[str]:
        """The names, sorted."""

    def shape(self, name: str) -> tuple[int, ...] | None:
        """The shape of an array of numbers, outermost axis first; None if there is no array `name`."""

    def numbers(self, name: str) -> np.ndarray:
        """The values, as float32."""

    def wrong(self, what: str) -> EngineError:
        """The error for this file whose message says `what`."""


@contextmanager
def opened(path: Path, error: type[EngineError]) -> Iterator[Arrays]:
    """The arrays in the file `path`. Raises `error` for a file of another format."""
    if path.suffix == ".mat" and not hdf5_file.is_hdf5(path):
        yield MatFile(path, error)
    else:
        with hdf5_file.opened(path, error) as file:
            yield file


@dataclass(frozen=True)
class _Variable:
    """A variable and its place in the file. `kind`: "" for a full array of real numbers, otherwise what it is instead.

    `packed`: whether it is compressed. `type`: numpy's name of the stored number type, for version 4; later versions
    store the type with the numbers.
    """

    at: int
    size: int
    shape: tuple[int, ...]
    kind: str
    packed: bool = False
    type: str = ""


class MatFile:
    """The variables of a MATLAB file of a version before 7.3, with their axes reversed."""

    def __init__(self, path: Path, error: type[EngineError]) -> None:
        self.path, self._error = path, error
        with self._file() as file:
            head = file.read(_HEADER)
            self._order = {b"IM": "<", b"MI": ">"}.get(head[-2:], "") if len(head) == _HEADER else ""
            self._variables = dict(
                self._in_version_5(file) if self._order and 0 not in head[:4] else self._in_version_4(file)
            )

    def members(self) -> list[str]:
        return sorted(self._variables)

    def shape(self, name: str) -> tuple[int, ...] | None:
        if (variable := self._variables.get(name)) is None:
            return None
        if variable.kind:
            raise self.wrong(f'"{name}" is {variable.kind}, not a full array of real numbers.')
        return variable.shape

    def numbers(self, name: str) -> np.ndarray:
        if (shape := self.shape(name)) is None:
            raise self.wrong(f'there is no variable "{name}".')
        variable, most = self._variables[name], 8 * prod(shape) + _PREAMBLE
        if lacking := memory.lacking(variable.size + most + 4 * prod(shape)):
            raise self.wrong(f'"{name}" of shape {list(shape)} {lacking}.')
        with self._file() as file:
            file.seek(variable.at)
            data = file.read(variable.size)
            if variable.packed:
                data = zlib.decompressobj().decompress(data, most)[_TAG:]
            kind = variable.type
            if not kind:
                *_, (number, data) = _elements(data, self._order, 4)
                kind = self._order + _TYPES.get(number, "V")
            values = np.frombuffer(data, kind)
            if len(values) != prod(shape):
                raise ValueError(f'"{name}" of shape {list(shape)} holds {len(values):,} numbers')
            with np.errstate(over="ignore"):  # a double beyond float32 is infinite, as in C
                return values.astype(np.float32).reshape(shape)  # ValueError: more axes than numpy allows

    def wrong(self, what: str) -> EngineError:
        return self._error(f"{self.path}: {what}")

    @contextmanager
    def _file(self) -> Iterator[BinaryIO]:
        try:
            regular_file.check(self.path)
            with self.path.open("rb") as file:
                yield file
        except _DAMAGE as e:
            reason = getattr(e, "strerror", None) or e
            raise self.wrong(f"cannot be read as a MATLAB file ({reason}). Write it again.") from e

    def _in_version_5(self, file: BinaryIO) -> Iterator[tuple[str, _Variable]]:
        at, end = _HEADER, file.seek(0, 2)
        while at < end:
            file.seek(at)
            number, size = struct.unpack(f"{self._order}II", file.read(_TAG))
            at += _TAG
            if at + size > end:
                raise ValueError("it is cut short")
            if number not in (_MATRIX, _COMPRESSED):
                raise ValueError(f"an element of type {number}, where a variable should be")
            start = file.read(min(size, _PREAMBLE))
            if number == _COMPRESSED:
                start = zlib.decompressobj().decompress(start, _PREAMBLE)[_TAG:]
            yield self._described(start, at, size, number == _COMPRESSED)
            at += size

    def _described(self, start: bytes, at: int, size: int, packed: bool) -> tuple[str, _Variable]:
        (_, flags), (_, dims), (_, name) = _elements(start, self._order, 3)
        (word,) = struct.unpack_from(f"{self._order}I", flags)
        shape = tuple(int(n) for n in reversed(np.frombuffer(dims, f"{self._order}i4")))
        if min(shape, default=-1) < 0:
            raise ValueError(f"a variable of shape {list(shape)}")
        kind = "" if 6 <= word & 255 <= 15 else f"of class {_CLASSES.get(word & 255, word & 255)}"
        kind = kind or ("complex" if word & _COMPLEX else "")
        return _text(name), _Variable(at, size, shape, kind, packed)

    def _in_version_4(self, file: BinaryIO) -> Iterator[tuple[str, _Variable]]:
        at, end = 0, file.seek(0, 2)
        while at < end:
            file.seek(at)
            head = file.read(_HEADER_OF_4)
            order = "<" if int.from_bytes(head[:4], "little") < 5000 else ">"
            mopt, rows, columns, imaginary, length = struct.unpack(f"{order}5i", head)
            type_, form = (
                _TYPES_OF_4.get(mopt // 10 % 10),
                {0: "", 1: "of class char", 2: "of class sparse"}.get(mopt % 10),
            )
            valid = mopt in range(5000) and mopt // 1000 == (order == ">") and not mopt // 100 % 10
            if not valid or type_ is None or form is None or min(rows, columns, length - 1) < 0:
                raise ValueError("it does not begin like any version")
            at += _HEADER_OF_4 + length
            size = rows * columns * np.dtype(type_).itemsize
            if at + (size << bool(imaginary)) > end:
                raise ValueError("it is cut short")
            kind = form or ("complex" if imaginary else "")
            yield _text(file.read(length)), _Variable(at, size, (columns, rows), kind, type=order + type_)
            at += size << bool(imaginary)


_COMPLEX = 0x0800


def _elements(data: bytes, order: str, count: int) -> Iterator[tuple[int, bytes]]:
    """The types and contents of the first `count` parts of a variable. Raises ValueError if there are fewer."""
    at = 0
    for _ in range(count):
        number, size = struct.unpack_from(f"{order}II", data, at)
        start, step = at + _TAG, _TAG + -(-size // 8) * 8
        if number >> 16:  # up to four bytes, within the tag
            number, size, start, step = number & 0xFFFF, number >> 16, at + 4, _TAG
        if start + size > len(data):
            raise ValueError("a variable is cut short")
        yield number, data[start : start + size]
        at += step


def _text(name: bytes) -> str:
    return name.rstrip(b"\0").decode("utf-8", "backslashreplace")
