"""Row counts for tables of boxes, whose number varies from batch to batch."""

FEWEST = 8


def padded(rows: int, fewest: int = FEWEST) -> int:
    """`rows` rounded up to a power of two, at least `fewest`, so that code reading them is compiled for few sizes."""
    return max(fewest, 1 << max(0, rows - 1).bit_length())
