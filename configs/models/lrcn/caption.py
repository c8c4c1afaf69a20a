"""Says what the trained net sees: sentences for the test pictures, word after word, and how many are right throughout.

caption.py MODEL
"""

import sys
from pathlib import Path

import caffe
import h5py
import numpy as np
from data import MADE, STEPS, STREAMS, WORDS

HERE = Path(__file__).parent


def captions(net: caffe.Net, pictures: np.ndarray) -> list[str]:
    """A sentence for each of the pictures (STREAMS, 1, side, side): the likeliest word, time after time."""
    said = np.zeros((STEPS, STREAMS), int)
    before = np.zeros((1, STREAMS), np.float32)
    for step in range(STEPS):
        goes_on = np.full((1, STREAMS), float(step > 0), np.float32)
        prob = net.forward(data=pictures, cont=goes_on, input_sentence=before)["prob"]
        said[step] = prob[0].argmax(axis=1)
        before = said[step : step + 1].astype(np.float32)
    return [" ".join(sentence(column)) for column in said.T]


def sentence(words: np.ndarray) -> list[str]:
    """Words by number, up to the first <end>."""
    over = np.flatnonzero(words == 0)
    return [WORDS[word] for word in words[: over[0] if len(over) else len(words)]]


def main(model: str) -> None:
    net = caffe.Net(str(HERE / "deploy.prototxt"), caffe.TEST, weights=model)
    with h5py.File(MADE / "test_pictures.h5") as file, h5py.File(MADE / "test_sentences.h5") as sentences:
        pictures = file["data"][:]
        targets = sentences["target_sentence"][:].astype(int).reshape(-1, STEPS, STREAMS)
    right = 0
    for n, target in enumerate(targets):
        said = captions(net, pictures[n * STREAMS : (n + 1) * STREAMS])
        meant = [" ".join(sentence(np.where(column < 0, 0, column))) for column in target.T]
        right += sum(one == other for one, other in zip(said, meant, strict=True))
        if n == 0:
            print(*(f"{one}  (is: {other})" for one, other in zip(said[:5], meant[:5], strict=True)), sep="\n")
    print(f"right throughout: {right / len(pictures):.3f} of {len(pictures)} sentences")


if __name__ == "__main__":
    main(*sys.argv[1:])
