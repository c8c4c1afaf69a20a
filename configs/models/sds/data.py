"""Makes objects for a small simultaneous detection and segmentation: boxes, and the same boxes with the object alone.

data.py [OBJECTS] writes made/train.h5 and made/test.h5. A box shows two shapes that overlap on a striped background;
its region is one of both, and nothing else. The class is that shape, of three, with the way that the stripes run, of
two: the box does not say which of both shapes is meant, and the region does not show the stripes.
"""

import sys
from pathlib import Path

import cv2
import h5py
import numpy as np

SIDE = 28
SHAPES, STRIPES = 3, 2


def outline(rng: np.random.Generator, shape: int) -> np.ndarray:
    """Where the shape is, (SIDE, SIDE): 1 there and 0 elsewhere. Disc, square or triangle."""
    mask = np.zeros((SIDE, SIDE), np.uint8)
    radius = int(rng.integers(6, 10))
    x, y = (int(at) for at in rng.integers(radius, SIDE - radius, 2))
    corners = {
        1: [(x - radius, y - radius), (x + radius, y - radius), (x + radius, y + radius), (x - radius, y + radius)],
        2: [(x, y - radius), (x + radius, y + radius), (x - radius, y + radius)],
    }
    if shape == 0:
        cv2.circle(mask, (x, y), radius, 1, -1)
    else:
        cv2.fillPoly(mask, [np.array(corners[shape], np.int32)], 1)
    return mask


def pictures(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes and regions (count, 1, SIDE, SIDE) and classes (count)."""
    boxes, regions = np.zeros((2, count, 1, SIDE, SIDE), np.float32)
    shapes, others = rng.integers(SHAPES, size=(2, count))
    ways = rng.integers(STRIPES, size=count)
    for n, (shape, other, way) in enumerate(zip(shapes, others, ways, strict=True)):
        stripes = np.sin((np.arange(SIDE) + rng.uniform(0, 6)) * 1.2) * 0.3
        picture = np.tile(stripes, (SIDE, 1))
        picture = picture.T.copy() if way else picture
        own = outline(rng, int(shape)).astype(bool)
        for mask in rng.permutation([own, outline(rng, int(other)).astype(bool)]):
            picture[mask] = rng.uniform(0.4, 0.9)
        picture += rng.normal(0, 0.05, picture.shape)
        boxes[n, 0], regions[n, 0] = picture, np.where(own, picture, 0)
    return boxes, regions, (shapes * STRIPES + ways).astype(np.float32)


def main(count: int) -> None:
    made = Path(__file__).parent / "made"
    made.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    for part, share in (("train", count), ("test", count // 4)):
        with h5py.File(made / f"{part}.h5", "w") as file:
            for name, values in zip(("box", "region", "label"), pictures(rng, share), strict=True):
                file.create_dataset(name, data=values, compression="gzip")
        (made / f"{part}.txt").write_text(f"{part}.h5\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 4000)
