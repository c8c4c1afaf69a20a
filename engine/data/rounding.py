"""Rounds as C's `round` does."""

import math


def round_half_away(x: float) -> int:
    """The nearest whole number; halves are rounded away from zero."""
    return math.floor(x + 0.5) if x >= 0 else math.ceil(x - 0.5)
