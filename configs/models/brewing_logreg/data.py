"""Makes made/train.h5 and made/test.h5: 10,000 points of two classes, a quarter of them to test with.

Each class is two clouds of points in a plane, which no straight line tells apart from the other class's two. Each point
has four features: its two coordinates, and two sums of these that add nothing, as real tables often have.
"""

from pathlib import Path

import h5py
import numpy as np

CENTRES = {0: [(-1.5, -1.2), (1.2, 1.4)], 1: [(1.5, -1.0), (0.1, -0.2)]}
POINTS = 10_000
MIXED = np.array([[0.7, -0.4], [0.3, 0.9]])


def points(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Features (POINTS, 4) and classes (POINTS), in an order that is by lot."""
    classes = rng.integers(2, size=POINTS)
    clouds = rng.integers(2, size=POINTS)
    centres = np.array([CENTRES[0], CENTRES[1]])[classes, clouds]
    plane = centres + rng.normal(scale=0.8, size=(POINTS, 2))
    return np.hstack([plane, plane @ MIXED]).astype(np.float32), classes.astype(np.float32)


def main() -> None:
    made = Path(__file__).parent / "made"
    made.mkdir(exist_ok=True)
    features, classes = points(np.random.default_rng(0))
    for name, part in (("train", np.s_[POINTS // 4 :]), ("test", np.s_[: POINTS // 4])):
        with h5py.File(made / f"{name}.h5", "w") as file:
            file["data"], file["label"] = features[part], classes[part]
        (made / f"{name}.txt").write_text(f"{name}.h5\n")


if __name__ == "__main__":
    main()
