"""Detects: SVM scores of the test scenes' windows, non-maximum suppression a class, and mean average precision.

detect.py MODEL SVM, the fine-tuned net and the SVMs. Says the mean average precision by chance, too: of scores by lot.
"""

import sys
from pathlib import Path

import caffe
import numpy as np
from boxes import average_precision, non_maximum_suppression
from features import HERE, MADE, Windows, of_windows, read
from shapes import KINDS, SOUGHT


def objects(path: Path) -> dict[int, dict[str, np.ndarray]]:
    """The objects' boxes, by class and picture."""
    found: dict[int, dict[str, list[list[int]]]] = {label: {} for label in range(1, SOUGHT + 1)}
    for line in path.read_text().splitlines():
        name, label, *box = line.split()
        found[int(label)].setdefault(name, []).append([int(x) for x in box])
    return {label: {name: np.array(boxes) for name, boxes in of.items()} for label, of in found.items()}


def precision(pictures: list[Windows], scores: np.ndarray, label: int, there: dict[str, np.ndarray]) -> float:
    """The average precision of a class, by the scores (N) of all windows in order."""
    detections, first = [], 0
    for windows in pictures:
        own = scores[first : first + len(windows.boxes)]
        first += len(windows.boxes)
        kept = non_maximum_suppression(windows.boxes, own)
        detections += [(float(own[n]), windows.picture, windows.boxes[n]) for n in kept]
    return average_precision(detections, there)


def main(model: str, svm: str) -> None:
    pictures, there = read(MADE / "window_test.txt"), objects(MADE / "objects_test.txt")
    features = of_windows(model, pictures)
    net = caffe.Net(str(HERE / "svm_deploy.prototxt"), caffe.TEST, weights=svm)
    scores = net.forward_all(data=features)["score"]
    by_lot = np.random.default_rng(0).random(scores.shape)
    found, chance = (
        [precision(pictures, of[:, label], label, there[label]) for label in there] for of in (scores, by_lot)
    )
    for label, value in zip(there, found, strict=True):
        print(f"{KINDS[label - 1]}: average precision {value:.3f}")
    print(f"mean average precision {np.mean(found):.3f}, by chance {np.mean(chance):.3f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
