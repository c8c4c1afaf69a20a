"""Net surgery: LeNet's inner products become convolutions, and the classifier of a digit a detector on any picture.

surgery.py MODEL DIGITS, LeNet's .caffemodel and the folder of MNIST's idx files. Writes made/lenet_conv.caffemodel.
"""

import gzip
import sys
from pathlib import Path

import caffe
import numpy as np

HERE = Path(__file__).parent
SIDE = 28
"""Pixels of a digit's sides."""
STRIDE = 4
"""Pixels of the picture from one position of the scores to the next: two poolings of stride 2."""


def pictures(folder: Path) -> np.ndarray:
    """The test digits, (N, 28, 28), scaled as in training."""
    content = gzip.decompress((folder / "t10k-images-idx3-ubyte.gz").read_bytes())
    return np.frombuffer(content, np.uint8, offset=16).reshape(-1, SIDE, SIDE) * np.float32(0.00390625)


def transplant(classifier: caffe.Net, convolutional: caffe.Net) -> None:
    """Copies the parameters of ip1 and ip2 into ip1-conv and ip2-conv: the same numbers in another shape."""
    for name in ("ip1", "ip2"):
        for old, new in zip(classifier.params[name], convolutional.params[f"{name}-conv"], strict=True):
            new.data.flat = old.data.flat


def laid_out(digits: np.ndarray) -> np.ndarray:
    """Nine digits (9, 28, 28) in three rows on a picture (112, 112), a quarter of a digit apart, so that each lies at a
    position of the scores."""
    picture = np.zeros((112, 112), np.float32)
    for n, digit in enumerate(digits):
        y, x = 36 * (n // 3) + 4, 36 * (n % 3) + 4
        picture[y : y + SIDE, x : x + SIDE] = digit
    return picture


def main(model: str, folder: str) -> None:
    digits = pictures(Path(folder))[:9]
    classifier = caffe.Net(str(HERE / "deploy.prototxt"), caffe.TEST, weights=model)
    convolutional = caffe.Net(str(HERE / "conv.prototxt"), caffe.TEST, weights=model)
    transplant(classifier, convolutional)
    convolutional.save(str(HERE / "made" / "lenet_conv.caffemodel"))

    scores = classifier.forward_all(data=digits[:, None])["ip2"]
    picture = laid_out(digits)
    convolutional.blobs["data"].reshape(1, 1, *picture.shape)
    found = convolutional.forward_all(data=picture[None, None])["ip2-conv"][0]
    print(
        f"a picture of {picture.shape[0]}×{picture.shape[1]} pixels: scores at {found.shape[1]}×{found.shape[2]} places"
    )
    largest = 0.0
    for n, score in enumerate(scores):
        y, x = (36 * (n // 3) + 4) // STRIDE, (36 * (n % 3) + 4) // STRIDE
        largest = max(largest, float(np.abs(found[:, y, x] - score).max()))
        print(f"digit at {y:2} {x:2}: {found[:, y, x].argmax()}, as a picture of its own {score.argmax()}")
    print(f"largest difference of any score: {largest:.2g}, of scores up to {np.abs(scores).max():.3g}")


if __name__ == "__main__":
    main(*sys.argv[1:])
