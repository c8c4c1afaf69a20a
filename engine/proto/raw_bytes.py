"""Keeps bytes that are not UTF-8, mostly in file names: Caffe accepts them, but Python's protobuf refuses such strings.

Such a byte is represented by a private-use character, U+10FF80 to U+10FFFF for 0x80 to 0xFF, which no file uses, so
that the text can be handled like any other. It becomes a byte again where a name goes to the file system, or into a
file.
"""

import re

_PLANE = 0x10FF00
_KEPT = re.compile(f"[{chr(_PLANE + 0x80)}-{chr(_PLANE + 0xFF)}]")
_LONE = re.compile("[\udc80-\udcff]")


def decoded(data: bytes) -> str:
    """The text in `data`: decoded as UTF-8, with other bytes kept."""
    return kept(data.decode("utf-8", "surrogateescape"))


def encoded(text: str) -> bytes:
    """The reverse of `decoded`."""
    return native(text).encode("utf-8", "surrogateescape")


def kept(text: str) -> str:
    """`text` with lone surrogates, which Python uses for such bytes, replaced by characters that protobuf accepts."""
    return _LONE.sub(lambda match: chr(ord(match[0]) - 0xDC00 + _PLANE), text)


def native(text: str) -> str:
    """`text` as in Python's file names, with lone surrogates: the reverse of `kept`."""
    return _KEPT.sub(lambda match: chr(ord(match[0]) - _PLANE + 0xDC00), text)
