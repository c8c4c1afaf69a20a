"""Average precisions of a detector, from what DetectionEvaluate says of each detection."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from engine.errors import SolverError

_SAME = 1e-6
"""Recalls that differ by no more than this count as equal."""


class DetectionScores(NamedTuple):
    """The mean average precision, and that of each class by number; None for a class without detections."""

    mean: float
    of_class: dict[int, float | None]


def scores(batches: Sequence[np.ndarray], version: str) -> DetectionScores:
    """The scores from a DetectionEvaluate layer's tops of all batches, each (1, 1, rows, 5). A class without detections
    counts as 0. Raises SolverError if a top has another shape."""
    boxes: defaultdict[int, int] = defaultdict(int)
    finds: defaultdict[int, list[np.ndarray]] = defaultdict(list)
    for batch in batches:
        if batch.shape[-1:] != (5,):
            raise SolverError(f"an output has shape {list(batch.shape)}; DetectionEvaluate makes rows of 5 values.")
        for row in batch.reshape(-1, 5):
            if row[0] == -1:
                boxes[int(row[1])] += int(row[2])
            elif row[3] or row[4]:
                finds[int(row[1])].append(row[2:4])
    of_class = {
        c: average_precision(np.stack(finds[c]), count, version) if finds.get(c) else None
        for c, count in sorted(boxes.items())
    }
    return DetectionScores(sum(each or 0 for each in of_class.values()) / len(boxes) if boxes else 0.0, of_class)


def average_precision(finds: np.ndarray, boxes: int, version: str) -> float:
    """The average precision of detections `finds` (n, 2): score, and 1 if right; boxes: how many there are to find."""
    if not boxes:
        return 0.0
    right = finds[np.argsort(-finds[:, 0], kind="stable"), 1].cumsum(dtype=np.float32)
    recall = right / np.float32(boxes)  # in float32, as in the fork: its 0.7 is less than 7 / 10
    precision = right / np.arange(1, len(right) + 1, dtype=np.float32)
    if version == "11point":
        return float(np.mean([max(precision[recall.astype(np.float64) >= at / 10], default=0) for at in range(11)]))
    if version == "MaxIntegral":
        precision = np.maximum.accumulate(precision[::-1])[::-1]
    steps = np.diff(recall, prepend=0)
    return float(np.sum(np.where(steps > _SAME, steps * precision, 0)))
