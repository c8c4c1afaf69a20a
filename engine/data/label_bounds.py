"""LabelBounds: which labels a layer accepts, and the message for others; checked in the feed and in the net."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class LabelBounds:
    """The integers that a bottom of labels may hold: 0 … classes − 1, and `ignore` if given.

    classes: None for a target that is not a class, where any finite number will do. layer: the layer with this bottom,
    as messages name it; "" if they begin with it anyway. ignored_by: the message field in which that layer takes an
    ignore_label, "" if it takes none. remedy: what the user can do.
    """

    classes: int | None
    ignore: int | None = None
    layer: str = ""
    ignored_by: str = ""
    remedy: str = "Correct the labels, or num_output of the scoring layer."

    def outside(self, labels: Any) -> Any:
        """Which of the `labels`, a numpy or JAX array, are out of bounds; NaN always is."""
        if self.classes is None:
            return ~(abs(labels) < math.inf)
        outside = ~((labels >= 0) & (labels < self.classes))
        return outside if self.ignore is None else outside & (labels != self.ignore)

    def complaint(self, label: float, blob: str, beside: Sequence["LabelBounds"] = ()) -> str:
        """The message for a `label` out of bounds in `blob`. `beside`: the bounds of all layers that read this blob."""
        if self.classes is None:
            return f'{label:g} in "{blob}", and {self.layer} takes finite numbers. Correct the data.'
        ignoring = next((b.layer for b in beside if b.ignore is not None and b.ignore == label), None)
        if ignoring is not None and self.ignored_by:
            counts = self.layer or "this layer"
            return (
                f'label {label:g} in "{blob}" is ignored by {ignoring}, and {counts} counts it, with classes 0 to '
                f"{self.classes - 1}. Give {self.layer or 'it'} {self.ignored_by} {{ ignore_label: {label:g} }} too."
            )
        ignored = "" if self.ignore is None else f", or {self.ignore} (ignore_label)"
        where = f", in {self.layer}" if self.layer else ""
        return (
            f'label {label:g} in "{blob}"; the net has {self.classes} classes, 0 to {self.classes - 1}{ignored}{where}.'
            f" {self.remedy}"
        )
