"""Where the siamese net puts the digits: how well the nearest digit tells which one it is, and a picture.

embed.py MODEL DIGITS, a .caffemodel and the folder of MNIST's idx files. Writes made/embedding.png.
"""

import gzip
import sys
from pathlib import Path

import caffe
import numpy as np

HERE = Path(__file__).parent


def digits(folder: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Pictures (N, 1, 28, 28), scaled as in training, and labels (N), of two idx files with heads of 16 and 8 bytes."""
    pictures, labels = (
        np.frombuffer(gzip.decompress((folder / f"{part}-{kind}-ubyte.gz").read_bytes()), np.uint8, offset=head)
        for kind, head in (("images-idx3", 16), ("labels-idx1", 8))
    )
    return pictures.reshape(-1, 1, 28, 28) * np.float32(0.00390625), labels


def nearest(points: np.ndarray, known: np.ndarray) -> np.ndarray:
    """For each of `points` (N, 2) the index of the nearest of `known` (M, 2)."""
    apart = [((known - point) ** 2).sum(axis=1) for point in points]
    return np.array([distances.argmin() for distances in apart])


def draw(points: np.ndarray, labels: np.ndarray, path: Path) -> None:
    """A dot for each digit, a colour for each kind."""
    from matplotlib.figure import Figure  # noqa: PLC0415  an extra: pip install matplotlib

    figure = Figure(figsize=(4.5, 4), dpi=70, layout="constrained")
    axes = figure.subplots()
    for digit in range(10):
        axes.plot(*points[labels == digit].T, ".", markersize=2, label=str(digit))
    axes.legend(markerscale=4, fontsize="small")
    figure.savefig(path)


def main(model: str, folder: str) -> None:
    net = caffe.Net(str(HERE / "deploy.prototxt"), caffe.TEST, weights=model)
    points, labels = {}, {}
    for part in ("train", "t10k"):
        pictures, labels[part] = digits(Path(folder), part)
        points[part] = net.forward_all(data=pictures)["feat"]
    guessed = labels["train"][nearest(points["t10k"], points["train"])]
    print(f"nearest neighbour: {np.mean(guessed == labels['t10k']):.4f} of {len(guessed)} test digits")
    draw(points["t10k"], labels["t10k"], HERE / "made" / "embedding.png")
    print("Wrote made/embedding.png")


if __name__ == "__main__":
    main(*sys.argv[1:])
