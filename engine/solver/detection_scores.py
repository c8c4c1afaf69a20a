"""Average precisions of a detector, from what DetectionEvaluate says of each of its finds."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from engine.errors import SolverError

_SAME = 1e-6
"""Recalls nearer to each other than this are one."""


class DetectionScores(NamedTuple):
    """The mean of the average precisions, and that of each class, by number; None where it has no finds."""

    mean: float
    of_class: dict[int, float | None]


def scores(batches: Sequence[np.ndarray], version: str) -> DetectionScores:
    """The scores of all batches' tops of a DetectionEvaluate layer, each (1, 1, rows, 5). A class without finds counts
    as 0. Raises SolverError where they are of another shape."""
    boxes: defaultdict[int, int] = defaultdict(int)
    finds: defaultdict[int, list[np.ndarray]] = defaultdict(list)
    for batch in batches:
        if batch.shape[-1:] != (5,):
            raise SolverError(f"an output of shape {list(batch.shape)} has no rows of 5, as DetectionEvaluate makes.")
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
    """Of finds (n, 2), score and whether it is right, and the number of boxes that there are to find."""
    if not boxes:
        return 0.0
    right = finds[np.argsort(-finds[:, 0], kind="stable"), 1].cumsum(dtype=np.float32)
    recall = right / np.float32(boxes)  # in float32, whose 0.7 is under 7 / 10, as in the fork
    precision = right / np.arange(1, len(right) + 1, dtype=np.float32)
    if version == "11point":
        return float(np.mean([max(precision[recall.astype(np.float64) >= at / 10], default=0) for at in range(11)]))
    if version == "MaxIntegral":
        precision = np.maximum.accumulate(precision[::-1])[::-1]
    steps = np.diff(recall, prepend=0)
    return float(np.sum(np.where(steps > _SAME, steps * precision, 0)))
