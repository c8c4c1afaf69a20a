"""Boxes x1, y1, x2, y2, corners included: how much they overlap, which of them to keep, and how good detections are."""

from collections.abc import Mapping

import numpy as np


def overlaps(boxes: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Intersection over union of each of `boxes` (N, 4) with `box` (4)."""
    sides = np.minimum(boxes[:, 2:], box[2:]) - np.maximum(boxes[:, :2], box[:2]) + 1
    common = np.prod(np.maximum(sides, 0), axis=1)
    return common / (np.prod(boxes[:, 2:] - boxes[:, :2] + 1, axis=1) + np.prod(box[2:] - box[:2] + 1) - common)


def non_maximum_suppression(boxes: np.ndarray, scores: np.ndarray, most: float = 0.3) -> list[int]:
    """Indices of the boxes that overlap none with a higher score by more than `most`, the best first."""
    left, kept = list(np.argsort(-scores)), []
    while left:
        best = left.pop(0)
        kept.append(int(best))
        left = [n for n, overlap in zip(left, overlaps(boxes[left], boxes[best]), strict=True) if overlap <= most]
    return kept


def average_precision(
    found: list[tuple[float, str, np.ndarray]], objects: Mapping[str, np.ndarray], least: float = 0.5
) -> float:
    """Of one class. `found`: score, picture and box of each detection; `objects`: the boxes (N, 4) of each picture.

    A detection is right where it overlaps by `least` an object that none with a higher score has taken. The area under
    the curve of precision over recall, made monotone, as of PASCAL VOC 2010.
    """
    taken = {name: np.zeros(len(boxes), bool) for name, boxes in objects.items()}
    right = np.zeros(len(found), bool)
    for n, (_, name, box) in enumerate(sorted(found, key=lambda detection: -detection[0])):
        if name in objects:
            overlap = overlaps(objects[name], box)
            best = int(overlap.argmax())
            right[n] = overlap[best] >= least and not taken[name][best]
            taken[name][best] |= right[n]
    recall = np.cumsum(right) / sum(map(len, objects.values()))
    precision = np.cumsum(right) / np.arange(1, len(found) + 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(recall, prepend=0) * precision))
