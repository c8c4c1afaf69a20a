"""Reads the size of a picture from the first bytes of its file: nothing is decoded, and OpenCV is not needed."""

import stat
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from engine.data import exif
from engine.host import regular_file

HEAD = 32
"""Bytes that tell the format and, for most formats, the size."""

OTHERS = (
    b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"RIFF", b"\0\0\0\x0cjP", b"\xff\x4f\xff\x51", b"\x59\xa6\x6a\x95",
    b"\x76\x2f\x31\x01", b"#?RADIANCE", b"#?RGBE", b"P1", b"P2", b"P3", b"P4", b"P5", b"P6", b"P7", b"PF", b"Pf",
    b"DDS ", b"\0\0\0\x1cftyp", b"\0\0\0\x20ftyp", b"\0\0\0\x18ftyp",
)  # fmt: skip
"""The first bytes of the other formats that OpenCV reads: TIFF, WebP, JPEG 2000, Sun raster, EXR, HDR, PNM, AVIF."""

START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
MOST_SEGMENTS = 1000


@dataclass(frozen=True)
class Header:
    """Height and width in pixels; None for formats whose size is not read. `grey`: whether it has a single channel."""

    height: int | None = None
    width: int | None = None
    grey: bool = False


class NoPicture(Exception):
    """The file is not a usable picture. The message continues the file's name: `is empty`."""


def read(path: Path) -> Header:
    """Reads a file's header. Raises NoPicture if the file cannot be read or has a format that OpenCV does not read."""
    try:
        with regular_file.opened(path) as (descriptor, status):
            if not stat.S_ISREG(status.st_mode):
                raise NoPicture("is not a file")
            with open(descriptor, "rb", closefd=False) as file:
                return of(file)
    except FileNotFoundError:
        raise NoPicture("does not exist") from None
    except OSError as error:
        raise NoPicture(f"cannot be read: {error.strerror}") from None


def of(file: BinaryIO) -> Header:
    """Reads a picture's header from an open file or from bytes, such as a database record. Raises NoPicture."""
    try:
        header = _read(file)
    except (struct.error, IndexError):
        raise NoPicture("is truncated: it ends within its header") from None
    if any(size is not None and size < 1 for size in (header.height, header.width)):
        raise NoPicture(f"is not a picture: its header gives it a size of {header.height} × {header.width}")
    return header


def _read(file: BinaryIO) -> Header:
    head = file.read(HEAD)
    if not head:
        raise NoPicture("is empty")
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        width, height, _, colour = struct.unpack(">IIBB", head[16:26])
        return Header(height, width, grey=colour in (0, 4))
    if head.startswith(b"\xff\xd8"):
        return _jpeg(file)
    if head.startswith((b"GIF87a", b"GIF89a")):
        width, height = struct.unpack("<HH", head[6:10])
        return Header(height, width)
    if head.startswith(b"BM"):
        short = struct.unpack("<I", head[14:18])[0] == 12
        width, height = struct.unpack("<HH", head[18:22]) if short else struct.unpack("<ii", head[18:26])
        return Header(abs(height), width)
    if head.startswith(OTHERS):
        return Header()
    raise NoPicture(f"is not a picture in a format that OpenCV reads: it begins with {head[:12]!r}")


def _jpeg(file: BinaryIO) -> Header:
    """Walks through the segments (ITU T.81, B.1.1) to the frame header. A picture taken with the camera held sideways
    swaps height and width, since it is rotated when decoded."""
    file.seek(2)
    orientation = None
    for _ in range(MOST_SEGMENTS):
        mark, kind = struct.unpack("BB", file.read(2))
        while kind == 0xFF:  # fill bytes
            (kind,) = struct.unpack("B", file.read(1))
        if mark != 0xFF:
            break
        (size,) = struct.unpack(">H", file.read(2))
        if size < 2:  # it counts its own two bytes
            break
        if kind in START_OF_FRAME:
            _, height, width, channels = struct.unpack(">BHHB", file.read(6))
            height, width = (width, height) if (orientation or exif.UPRIGHT) > 4 else (height, width)
            return Header(height, width, grey=channels == 1)
        segment = file.read(size - 2)
        if kind == 0xE1 and orientation is None and segment.startswith(exif.BEGIN):
            orientation = exif.orientation(segment)
    raise NoPicture("is not a JPEG that can be decoded: it has no frame header")
