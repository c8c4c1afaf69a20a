"""JPEG pictures to pixels by libjpeg-turbo, which says when one is damaged, where OpenCV hands out what is left of it.

The pixels are OpenCV's, bit for bit: it has the same library inside, and keeps to itself what that warns of.
"""

import re

import numpy as np

from engine.data import exif
from engine.errors import DataError

START = b"\xff\xd8\xff"
"""What OpenCV knows a JPEG by."""

_END = b"\xff\xd9"
_APP1, _SCAN = b"\xe1", b"\xda"
_FOUR = ("CMYK", "YCCK")
_LARGEST = 2**31 - 1
"""Bytes of pixels that simplejpeg can count."""

_MOST_OF_A_BYTE = 1 << 15
"""Pixels: 64 of them take a bit at least, or about a 64th of one where they are coded arithmetically. Without that few
bytes would be decoded for seconds."""

_HARMLESS = re.compile(
    "Warning: unknown JFIF revision|Unknown Adobe color transform|Invalid SOS parameters for sequential JPEG"
    "|Inconsistent progression sequence|Corrupt JPEG data: bad ICC marker"
)
"""What libjpeg remarks on headers that some cameras and programs write, and decodes all the same. It tells of the first
thing only: what is wrong behind it is not seen."""
_LEFT_OVER = re.compile(r"Corrupt JPEG data: (\d+) extraneous bytes before marker 0xd9")
_CUT_OFF = "Premature end of JPEG file"
_OWN = "tj"
"""How messages begin where it is TurboJPEG that lacks what libjpeg can do."""


def decode(data: bytes, most: int, grey: bool | None = None) -> np.ndarray | None:
    """The uint8 pixels (height, width, channels) of a JPEG, in BGR order.

    most: pixels that it may have. grey: with one channel, or with three, and turned as its Exif says; None: as it is
    stored. Returns None for what OpenCV has to decode, or to refuse: more pixels, CMYK, what is turned, odd headers.
    Raises DataError, in libjpeg's words, for a damaged picture.
    """
    import simplejpeg  # noqa: PLC0415  who reads no pictures does without

    try:
        height, width, space, _ = simplejpeg.decode_jpeg_header(data, strict=False)
        if height * width > min(most, _LARGEST // 4):
            return None
        if height * width > _MOST_OF_A_BYTE * len(data):
            raise DataError(f"holds a damaged JPEG: one of {len(data):,} bytes that says to be {height}×{width}")
        kind = "CMYK" if space in _FOUR else "Gray" if grey or (grey is None and space == "Gray") else "BGR"
        pixels: np.ndarray = simplejpeg.decode_jpeg(data, kind, fastdct=False, fastupsample=False)
    except KeyError:  # a header that is cut off
        return None
    except ValueError as e:
        said = str(e)
        if said == _CUT_OFF and not data.endswith(_END):  # it may be that nothing but its end is missing
            return decode(data + _END, most, grey)
        if said.startswith(_OWN) or _HARMLESS.match(said) or _is_padding(data, said):
            return None
        raise DataError(f'holds a damaged JPEG: libjpeg says "{said}"') from e
    return None if kind == "CMYK" or (grey is not None and _is_turned(data)) else pixels


def _is_padding(data: bytes, said: str) -> bool:
    """Whether what libjpeg has no use for, before the end, is one byte again and again, as some programs fill up."""
    left = _LEFT_OVER.match(said)
    end = data.rfind(_END)
    return left is not None and end > 0 and len({*data[max(0, end - int(left[1])) : end]}) == 1


def _is_turned(data: bytes) -> bool:
    """Whether its Exif may say so: the segments before the first scan are looked through (ITU T.81, B.1.1)."""
    at = 2
    while data[at : at + 1] == b"\xff":
        kind, behind = data[at + 1 : at + 2], at + 2 + int.from_bytes(data[at + 2 : at + 4])
        if kind == _SCAN:
            return False
        if kind == _APP1 and exif.orientation(data[at + 4 : behind]) != exif.UPRIGHT:
            return True
        at = behind
    return True  # something else between them: OpenCV may make more of it
