"""Makes the detection set: pictures of shapes on grey clutter, with windows that propose where objects may be.

shapes.py [PICTURES] writes into made/: `single/`, a shape a picture, with `single_train.txt` and `single_test.txt`, to
pre-train with; `scenes/`, with several shapes each; `window_train.txt` and `window_test.txt`, in the form that Caffe's
WindowData reads. Of six kinds of shapes the first three are to be found in the scenes; the others are only in the way.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from boxes import overlaps

MADE = Path(__file__).parent / "made"
KINDS = ("disc", "square", "triangle", "ring", "cross", "bar")
SOUGHT = 3
"""So many kinds, from the first on, are objects: classes 1 to 3; 0 is background."""
SIDE = 128
"""Pixels of a scene's sides."""

Box = tuple[int, int, int, int]
"""x1, y1, x2, y2, in pixels, corners included."""


def clutter(rng: np.random.Generator, side: int) -> np.ndarray:
    """A background (side, side, 3): dim blotches and noise."""
    blotches = cv2.resize(rng.integers(60, 200, (5, 5, 3), dtype=np.uint8), (side, side), interpolation=cv2.INTER_CUBIC)
    return np.clip(blotches + rng.normal(0, 12, (side, side, 3)), 0, 255).astype(np.uint8)


def draw(picture: np.ndarray, rng: np.random.Generator, kind: int, box: Box) -> None:
    """A shape that fills the box, in a colour by lot."""
    x1, y1, x2, y2 = box
    colour = [int(c) for c in rng.choice([0, 255], 3) * 0.8 + rng.integers(0, 50, 3)]
    middle, radius = ((x1 + x2) // 2, (y1 + y2) // 2), (x2 - x1) // 2
    thin = max(2, radius // 4)
    match KINDS[kind]:
        case "disc":
            cv2.circle(picture, middle, radius, colour, -1)
        case "square":
            cv2.rectangle(picture, (x1, y1), (x2, y2), colour, -1)
        case "triangle":
            cv2.fillPoly(picture, [np.array([(middle[0], y1), (x2, y2), (x1, y2)], np.int32)], colour)
        case "ring":
            cv2.circle(picture, middle, radius - thin // 2, colour, thin)
        case "cross":
            cv2.line(picture, (x1, y1), (x2, y2), colour, thin)
            cv2.line(picture, (x1, y2), (x2, y1), colour, thin)
        case "bar":
            cv2.rectangle(picture, (x1, middle[1] - thin), (x2, middle[1] + thin), colour, -1)


def single(rng: np.random.Generator, count: int) -> Iterator[tuple[np.ndarray, int]]:
    """Pictures (48, 48, 3) of one shape each, and its kind."""
    for n in range(count):
        picture, size = clutter(rng, 48), int(rng.integers(22, 44))
        x, y = rng.integers(0, 48 - size, 2)
        draw(picture, rng, n % len(KINDS), (x, y, x + size, y + size))
        yield picture, n % len(KINDS)


def scene(rng: np.random.Generator) -> tuple[np.ndarray, list[tuple[int, Box]]]:
    """A picture and its shapes, kind and box, which overlap little."""
    picture, shapes = clutter(rng, SIDE), list[tuple[int, Box]]()
    for _ in range(int(rng.integers(3, 6))):
        size = int(rng.integers(24, 56))
        x, y = (int(at) for at in rng.integers(0, SIDE - size, 2))
        box = (x, y, x + size, y + size)
        if all(overlaps(np.array([box]), np.array(other))[0] < 0.05 for _, other in shapes):
            shapes.append((int(rng.integers(len(KINDS))), box))
            draw(picture, rng, *shapes[-1])
    return picture, shapes


def proposals(rng: np.random.Generator, shapes: list[tuple[int, Box]]) -> np.ndarray:
    """Windows (N, 4): ten about each shape, near and less near, and forty anywhere."""
    near = [
        np.array(box) + rng.normal(0, spread * (box[2] - box[0]), 4)
        for _, box in shapes
        for spread in np.linspace(0.04, 0.25, 10)
    ]
    sizes, corners = rng.uniform(16, 72, (40, 2)), rng.uniform(0, SIDE - 20, (40, 2))
    windows = np.clip(np.round([*near, *np.hstack([corners, corners + sizes])]), 0, SIDE - 1).astype(int)
    return windows[(windows[:, 2] - windows[:, 0] > 7) & (windows[:, 3] - windows[:, 1] > 7)]


def described(index: int, name: str, windows: np.ndarray, objects: list[tuple[int, Box]], truth: bool) -> str:
    """A picture's lines of a window file. With `truth` the objects come first, as windows that overlap them wholly."""
    rows = [(kind + 1, 1.0, *box) for kind, box in objects] if truth else []
    for window in windows:
        best, label = max(
            ((overlaps(window[None], np.array(box))[0], kind + 1) for kind, box in objects), default=(0, 0)
        )
        rows.append((label if best > 0 else 0, best, *window))
    lines = [f"{label} {overlap:.3f} {x1} {y1} {x2} {y2}" for label, overlap, x1, y1, x2, y2 in rows]
    return "\n".join([f"# {index}", name, "3", str(SIDE), str(SIDE), str(len(lines)), *lines]) + "\n"


def main(count: int) -> None:
    rng = np.random.default_rng(0)
    for folder in ("single", "scenes"):
        (MADE / folder).mkdir(parents=True, exist_ok=True)
    for part, share in (("train", 12 * count), ("test", 2 * count)):
        lines = []
        for n, (picture, kind) in enumerate(single(rng, share)):
            cv2.imwrite(str(MADE / "single" / f"{part}{n}.png"), picture)
            lines.append(f"single/{part}{n}.png {kind}\n")
        (MADE / f"single_{part}.txt").write_text("".join(lines))
    for part, share in (("train", count), ("test", count // 2)):
        written, objects = [], []
        for n in range(share):
            picture, shapes = scene(rng)
            name = f"scenes/{part}{n}.png"
            cv2.imwrite(str(MADE / name), picture)
            sought = [(kind, box) for kind, box in shapes if kind < SOUGHT]
            written.append(described(n, name, proposals(rng, shapes), sought, truth=part == "train"))
            objects += [f"{name} {kind + 1} {' '.join(map(str, box))}\n" for kind, box in sought]
        (MADE / f"window_{part}.txt").write_text("".join(written))
        (MADE / f"objects_{part}.txt").write_text("".join(objects))


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 250)
