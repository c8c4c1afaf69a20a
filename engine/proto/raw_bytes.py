"""Bytes that are no UTF-8, in names of files above all: Caffe takes them, and Python's protobuf takes none in a string.

Such a byte travels as a character of a private plane, U+10FF80 to U+10FFFF for 0x80 to 0xFF, which no file uses: a text
with them is a text like others. They become bytes again where a name goes to the file system, or into a file.
"""

import re

_PLANE = 0x10FF00
_KEPT = re.compile(f"[{chr(_PLANE + 0x80)}-{chr(_PLANE + 0xFF)}]")
_LONE = re.compile("[\udc80-\udcff]")


def decoded(data: bytes) -> str:
    """The text in `data`: UTF-8, and what is none kept."""
    return kept(data.decode("utf-8", "surrogateescape"))


def encoded(text: str) -> bytes:
    """The bytes that `decoded` was given."""
    return native(text).encode("utf-8", "surrogateescape")


def kept(text: str) -> str:
    """`text` with Python's own sign for such a byte, a lone surrogate, changed for one that protobuf takes."""
    return _LONE.sub(lambda found: chr(ord(found[0]) - 0xDC00 + _PLANE), text)


def native(text: str) -> str:
    """`text` as Python's file names have it: the reverse of `kept`."""
    return _KEPT.sub(lambda found: chr(ord(found[0]) - _PLANE + 0xDC00), text)
