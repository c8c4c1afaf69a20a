"""Text from outside on its way to a terminal or into a message: what a terminal would obey is written out instead."""

import re
import unicodedata

UNSEEN = {"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"}
"""Categories of Unicode: control characters; what turns the direction of writing or has no width; characters that
nobody knows; bytes that were no UTF-8; what parts lines for some programs only."""


_ENDLESS = re.compile(r"\S{301,}")
_LONGEST = 5000


class _Visible(dict[int, str]):
    """What stands for each character: itself, or its escape as Python writes it. Filled as characters are met."""

    def __missing__(self, code: int) -> str:
        self[code] = shown = _escape(code) if unicodedata.category(chr(code)) in UNSEEN else chr(code)
        return shown


def _escape(code: int) -> str:
    if 0xDC80 <= code <= 0xDCFF or code >= 0x10FF80:  # a byte that was no UTF-8, as Python and `raw_bytes` keep it
        return f"\\x{code & 0xFF:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


_TEXT = _Visible({ord("\n"): "\n", ord("\t"): "\t", ord("\r"): "\\r"})
_LINE = _Visible({ord("\n"): "\\n", ord("\t"): "\\t", ord("\r"): "\\r"})


def printable(text: str, *, one_line: bool = False) -> str:
    r"""The same with all that cannot be seen written out: `\x1b`, `\u202e`.

    Line breaks and tabs stay, but for `one_line`: what stands in a table or in the middle of a sentence.
    """
    return text if text.isprintable() else text.translate(_LINE if one_line else _TEXT)


def message(text: str) -> str:
    """An error as a program's last line shows it: printable; of what is too long, how it begins and ends."""
    shown = _ENDLESS.sub(lambda found: _ends(found[0], 140), printable(text))
    return shown if len(shown) <= _LONGEST else _ends(shown, _LONGEST // 2)


def _ends(text: str, length: int) -> str:
    return f"{text[:length]}…{text[-length:]}"
