"""The fine-tuned net's features of the windows that a window file lists.

features.py MODEL writes made/features_train.h5 for the SVMs: of objects, and of windows that hardly overlap any.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import caffe
import h5py
import numpy as np

HERE = Path(__file__).parent
MADE = HERE / "made"
BACKGROUND = 0.3
"""A window that overlaps all objects by less counts as background, as in the R-CNN paper."""


@dataclass(frozen=True)
class Windows:
    """The windows of one picture: classes (N), overlaps (N) and boxes (N, 4) as x1, y1, x2, y2."""

    picture: str
    labels: np.ndarray
    overlaps: np.ndarray
    boxes: np.ndarray


def read(path: Path) -> list[Windows]:
    """A window file, picture by picture."""
    pictures = []
    for part in path.read_text().split("# ")[1:]:
        _, name, _, _, _, _, *rows = part.splitlines()
        table = np.array([row.split() for row in rows], float).reshape(-1, 6)
        pictures.append(Windows(name, table[:, 0].astype(int), table[:, 1], table[:, 2:].astype(int)))
    return pictures


def of_windows(model: str, pictures: list[Windows]) -> np.ndarray:
    """fc7 (N, 64) of every window, in order, cut and scaled as WindowData does it in train_val.prototxt."""
    detector = caffe.Detector(
        str(HERE / "deploy.prototxt"),
        model,
        mean=np.full(3, 128.0),
        input_scale=0.0078125,
        raw_scale=255,
        channel_swap=(2, 1, 0),
        context_pad=4,
    )
    asked = [(str(MADE / w.picture), w.boxes[:, [1, 0, 3, 2]]) for w in pictures]
    return np.array([found["prediction"] for found in detector.detect_windows(asked)])


def main(model: str) -> None:
    pictures = read(MADE / "window_train.txt")
    labels, overlaps = (np.concatenate([getattr(w, name) for w in pictures]) for name in ("labels", "overlaps"))
    used = (overlaps == 1) | (overlaps < BACKGROUND)
    features = of_windows(model, pictures)[used]
    with h5py.File(MADE / "features_train.h5", "w") as file:
        file["data"] = features.astype(np.float32)
        file["label"] = np.where(overlaps == 1, labels, 0)[used].astype(np.float32)
    (MADE / "features_train.txt").write_text("features_train.h5\n")
    print(f"{len(features)} windows, {int((overlaps == 1).sum())} of them objects: made/features_train.h5")


if __name__ == "__main__":
    main(*sys.argv[1:])
