"""Decodes JPEG pictures with libjpeg-turbo, which reports damage; OpenCV returns whatever is left of a picture.

The pixels are OpenCV's, bit for bit: it contains the same library, but suppresses its warnings.
"""

import re

import numpy as np

from engine.data import exif
from engine.errors import DataError

START = b"\xff\xd8\xff"
"""The bytes by which OpenCV recognises a JPEG."""

_END = b"\xff\xd9"
_APP1, _SCAN = b"\xe1", b"\xda"
_FOUR = ("CMYK", "YCCK")
_LARGEST = 2**31 - 1
"""Bytes of pixels that simplejpeg can count."""

_MOST_OF_A_BYTE = 1 << 15
"""The most pixels that a byte can encode: 64 pixels take at least one bit, or about a 64th of a bit with arithmetic
coding. Without this limit, decoding a few bytes could take seconds."""

_HARMLESS = re.compile(
    "Warning: unknown JFIF revision|Unknown Adobe color transform|Invalid SOS parameters for sequential JPEG"
    "|Inconsistent progression sequence|Corrupt JPEG data: bad ICC marker"
)
"""Warnings of libjpeg about headers that some cameras and programs write, and that it decodes all the same. It reports
only the first problem, so damage after one of these is not seen."""
_LEFT_OVER = re.compile(r"Corrupt JPEG data: (\d+) extraneous bytes before marker 0xd9")
_CUT_OFF = "Premature end of JPEG file"
_OWN = "tj"
"""The beginning of messages about what TurboJPEG does not support, although libjpeg does."""


def decode(data: bytes, most: int, grey: bool | None = None) -> np.ndarray | None:
    """The uint8 pixels (height, width, channels) of a JPEG, in BGR order.

    most: pixels that it may have. grey: whether to decode to one channel or to three, rotated as its Exif says; None:
    as it is stored. Returns None for what OpenCV has to decode, or to refuse: more pixels, CMYK, rotated pictures, odd
    headers. Raises DataError, with libjpeg's message, for a damaged picture.
    """
    import simplejpeg  # noqa: PLC0415  not needed by those who read no pictures

    try:
        height, width, space, _ = simplejpeg.decode_jpeg_header(data, strict=False)
        if height * width > min(most, _LARGEST // 4):
            return None
        if height * width > _MOST_OF_A_BYTE * len(data):
            raise DataError(f"holds a damaged JPEG: one of {len(data):,} bytes that claims to be {height}×{width}")
        kind = "CMYK" if space in _FOUR else "Gray" if grey or (grey is None and space == "Gray") else "BGR"
        pixels: np.ndarray = simplejpeg.decode_jpeg(data, kind, fastdct=False, fastupsample=False)
    except KeyError:  # a truncated header
        return None
    except ValueError as e:
        message = str(e)
        if message == _CUT_OFF and not data.endswith(_END):  # perhaps only the end marker is missing
            return decode(data + _END, most, grey)
        if message.startswith(_OWN) or _HARMLESS.match(message) or _is_padding(data, message):
            return None
        raise DataError(f'holds a damaged JPEG: libjpeg says "{message}"') from e
    return None if kind == "CMYK" or (grey is not None and _is_turned(data)) else pixels


def _is_padding(data: bytes, message: str) -> bool:
    """Whether the surplus bytes that libjpeg reports before the end are one byte repeated, as some programs pad."""
    match = _LEFT_OVER.match(message)
    end = data.rfind(_END)
    return match is not None and end > 0 and len({*data[max(0, end - int(match[1])) : end]}) == 1


def _is_turned(data: bytes) -> bool:
    """Whether Exif in the segments before the first scan rotates the picture, or may do so (ITU T.81, B.1.1)."""
    at = 2
    while data[at : at + 1] == b"\xff":
        kind, behind = data[at + 1 : at + 2], at + 2 + int.from_bytes(data[at + 2 : at + 4])
        if kind == _SCAN:
            return False
        if kind == _APP1 and exif.orientation(data[at + 4 : behind]) != exif.UPRIGHT:
            return True
        at = behind
    return True  # other bytes between the segments, which OpenCV may read differently
