"""Makes text from outside safe for a terminal or a message: characters that a terminal would obey are escaped."""

import re
import unicodedata

UNSEEN = {"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"}
"""Unicode categories that are escaped: control characters (Cc); format characters, which have no width or change the
direction of writing (Cf); unassigned and private characters (Cn, Co); surrogates, which stand for bytes that were not
UTF-8 (Cs); separators that only some programs take for line breaks (Zl, Zp)."""


_ENDLESS = re.compile(r"\S{301,}")
_LONGEST = 5000


class _Visible(dict[int, str]):
    """Maps each character to itself or to its escape as Python writes it. Filled as characters are met."""

    def __missing__(self, code: int) -> str:
        self[code] = shown = _escape(code) if unicodedata.category(chr(code)) in UNSEEN else chr(code)
        return shown


def _escape(code: int) -> str:
    if 0xDC80 <= code <= 0xDCFF or code >= 0x10FF80:  # a byte that was not UTF-8, as Python and `raw_bytes` keep it
        return f"\\x{code & 0xFF:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


_TEXT = _Visible({ord("\n"): "\n", ord("\t"): "\t", ord("\r"): "\\r"})
_LINE = _Visible({ord("\n"): "\\n", ord("\t"): "\\t", ord("\r"): "\\r"})


def printable(text: str, *, one_line: bool = False) -> str:
    r"""The text with every invisible character escaped: `\x1b`, `\u202e`.

    Line breaks and tabs stay as they are, unless `one_line`, for text in a table or in the middle of a sentence.
    """
    return text if text.isprintable() else text.translate(_LINE if one_line else _TEXT)


def message(text: str) -> str:
    """An error message as a program's last line shows it: printable, with the middle of overlong parts left out."""
    shown = _ENDLESS.sub(lambda match: _ends(match[0], 140), printable(text))
    return shown if len(shown) <= _LONGEST else _ends(shown, _LONGEST // 2)


def _ends(text: str, length: int) -> str:
    return f"{text[:length]}…{text[-length:]}"
