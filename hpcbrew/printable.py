"""Text from outside, on its way to a terminal."""

import re

# Control characters but line break and tab, what turns the direction of writing, what parts lines for some programs
# only, and bytes that were no UTF-8.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """The same with control characters written out, as `\\x1b`: a terminal would obey them."""
    return _UNSAFE.sub(lambda found: _written(ord(found[0])), text)


def _written(code: int) -> str:
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
