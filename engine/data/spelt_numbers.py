"""Reads the numbers in lists and annotations as Caffe's `>>` reads them: ASCII digits, where Python's int and float
also take 1_000 and the digits of other scripts."""

import math

LARGEST = (2 - 2**-23) * 2.0**127
"""The largest float32."""


def integer(word: str | bytes) -> int | None:
    """The 32-bit integer that a word of a list spells; None if it is not one."""
    try:
        value = int(word) if _is_plain(word) else None
    except ValueError:
        return None
    return value if value is not None and -(2**31) <= value < 2**31 else None


def finite(word: str | bytes) -> float | None:
    """The number that a word spells; None if it is not a number, or not finite in float32."""
    try:
        value = float(word) if _is_plain(word) else math.nan
    except ValueError:
        return None
    return value if abs(value) <= LARGEST else None


def _is_plain(word: str | bytes) -> bool:
    return word.isascii() and (b"_" not in word if isinstance(word, bytes) else "_" not in word)
