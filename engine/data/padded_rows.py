"""How many rows tables of boxes have, of which one batch has more and another fewer."""

FEWEST = 8


def padded(rows: int, fewest: int = FEWEST) -> int:
    """So many filled up to `fewest` or a power of two, so that what reads them is compiled for a few sizes only."""
    return max(fewest, 1 << max(0, rows - 1).bit_length())
