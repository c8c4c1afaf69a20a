"""Makes pictures of two shapes each, and a sentence that says which they are and how they lie.

data.py [PICTURES] writes into made/, for training and test: `train_pictures.h5`, and `train_sentences.h5`, in the form
of LRCN: a row a step of time and a column a sentence, STREAMS sentences side by side. A picture and its sentence are in
step: picture n of a batch is column n.
"""

import sys
from pathlib import Path

import cv2
import h5py
import numpy as np

MADE = Path(__file__).parent / "made"
SIDE, STREAMS, STEPS = 32, 25, 8
SHAPES = ("disc", "square", "triangle")
WORDS = ("<end>", "a", *SHAPES, "left", "of", "above")
"""Word 0 begins a sentence, too: the net is given it to say the first word."""


def draw(picture: np.ndarray, rng: np.random.Generator, shape: str, middle: tuple[int, int]) -> None:
    """A shape in a grey by lot, not quite where it is meant to be."""
    radius, grey = int(rng.integers(4, 7)), float(rng.uniform(0.5, 1))
    x, y = (int(at + rng.integers(-2, 3)) for at in middle)
    if shape == "disc":
        cv2.circle(picture, (x, y), radius, grey, -1)
    elif shape == "square":
        cv2.rectangle(picture, (x - radius, y - radius), (x + radius, y + radius), grey, -1)
    else:
        cv2.fillPoly(picture, [np.array([(x, y - radius), (x + radius, y + radius), (x - radius, y + radius)])], grey)


def example(rng: np.random.Generator) -> tuple[np.ndarray, list[str]]:
    """A picture (SIDE, SIDE) and its sentence, which is of five or six words."""
    picture = rng.normal(0, 0.05, (SIDE, SIDE)).astype(np.float32)
    first, second = rng.choice(SHAPES, 2)
    beside = bool(rng.integers(2))
    draw(picture, rng, first, (8, 16) if beside else (16, 8))
    draw(picture, rng, second, (24, 16) if beside else (16, 24))
    return picture, ["a", first, *(("left", "of") if beside else ("above",)), "a", second]


def columns(sentences: list[list[str]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What LRCN is given of STREAMS sentences, each (STEPS, STREAMS): whether the sentence goes on, the word before,
    and the word to say, -1 where the sentence is over."""
    goes_on, before = np.zeros((2, STEPS, STREAMS), np.float32)
    target = np.full((STEPS, STREAMS), -1, np.float32)
    for n, sentence in enumerate(sentences):
        words = [WORDS.index(word) for word in [*sentence, "<end>"]]
        goes_on[1 : len(words), n] = 1
        before[1 : len(words), n] = words[:-1]
        target[: len(words), n] = words
    return goes_on, before, target


def main(count: int) -> None:
    MADE.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    for part, share in (("train", count), ("test", count // 6)):
        examples = [example(rng) for _ in range(share // STREAMS * STREAMS)]
        with h5py.File(MADE / f"{part}_pictures.h5", "w") as file:
            pictures = np.stack([picture for picture, _ in examples])[:, None]
            file.create_dataset("data", data=pictures, compression="gzip")
        batches = [examples[n : n + STREAMS] for n in range(0, len(examples), STREAMS)]
        tables = [columns([sentence for _, sentence in batch]) for batch in batches]
        with h5py.File(MADE / f"{part}_sentences.h5", "w") as file:
            for n, name in enumerate(("cont", "input_sentence", "target_sentence")):
                file[name] = np.concatenate([table[n] for table in tables])
        for kind in ("pictures", "sentences"):
            (MADE / f"{part}_{kind}.txt").write_text(f"{part}_{kind}.h5\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 3000)
