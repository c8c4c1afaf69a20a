"""LabelBounds: which labels a net takes, told by its layers and checked where batches are made."""

from dataclasses import dataclass


@dataclass(frozen=True)
class LabelBounds:
    """The integers that a bottom of labels may hold: 0 … classes − 1, and `ignore` where it is given."""

    classes: int
    ignore: int | None = None
