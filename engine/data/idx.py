"""Reads idx files, the format of the MNIST digits, gzipped or not: a magic number, the sizes, then the bytes.

The format: http://yann.lecun.com/exdb/mnist, "file formats".
"""

import gzip
import zlib
from pathlib import Path

import numpy as np

from engine.errors import DataError
from engine.host import regular_file

IMAGES, LABELS = 0x803, 0x801
LARGEST = 1 << 30
"""The most bytes that are read: a small gzip file may unpack without end."""
_NAMES = {IMAGES: "pictures (magic 2051)", LABELS: "labels (magic 2049)"}


def read_images(path: Path) -> np.ndarray:
    """The uint8 pictures (count, rows, columns). Raises DataError."""
    return _read(path, IMAGES)


def read_labels(path: Path) -> np.ndarray:
    """The uint8 labels (count,). Raises DataError."""
    return _read(path, LABELS)


def read_pair(images: Path, labels: Path) -> tuple[np.ndarray, np.ndarray]:
    """The pictures and the labels of one set. Raises DataError, also if their numbers differ."""
    pictures, classes = read_images(images), read_labels(labels)
    if len(pictures) != len(classes):
        raise DataError(
            f"{images} holds {len(pictures):,} pictures and {labels} {len(classes):,} labels. Do they belong together?"
        )
    return pictures, classes


def unpacked(path: Path) -> bytes:
    """The contents of a file, gzipped or not, up to LARGEST bytes. Raises DataError."""
    try:
        regular_file.check(path)
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            data = gzip.GzipFile(fileobj=file).read(LARGEST + 1) if packed else file.read(LARGEST + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error) as e:
        raise DataError(f"{path}: a damaged gzip file ({e}). Fetch it again.") from e
    except OSError as e:
        raise DataError(f"{path}: cannot be read: {e.strerror}.") from e
    if len(data) > LARGEST:
        raise DataError(f"{path}: more than {LARGEST:,} bytes; no idx file of digits is that large.")
    return data


def _read(path: Path, magic: int) -> np.ndarray:
    data = unpacked(path)
    found = int.from_bytes(data[:4])
    if len(data) < 4 or found != magic:
        raise DataError(f"{path}: not an idx file of {_NAMES[magic]}: it is {_guess(data, found)}.")
    axes = magic & 0xFF
    header = 4 + 4 * axes
    shape = tuple(int(n) for n in np.frombuffer(data[4:header], ">u4")) if len(data) >= header else ()
    size = int(np.prod(shape, dtype=object)) if shape else 0
    if not shape or len(data) - header != size:
        says = f"its header counts {header + size:,}" if shape else f"a header takes {header}"
        raise DataError(f"{path}: {len(data):,} bytes where {says}. Fetch it again.")
    if not size:
        raise DataError(f"{path}: holds nothing; its header says {' × '.join(map(str, shape))}.")
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape)


def _guess(data: bytes, found: int) -> str:
    if found in _NAMES:
        return f"one of {_NAMES[found]}"
    return f"a file that begins with {data[:4]!r}" if data else "empty"
