"""classification: prints the five most likely classes of a picture, like Caffe's C++ example."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
import cv2
import numpy as np

from engine.data import datum
from engine.data.datum import Colour
from engine.data.image_source import read_file
from engine.data.picture_list import read_lines
from engine.data.transform import by, read_mean
from engine.errors import DataError
from engine.printable import printable
from engine.tools import command
from engine.tools.command import tool

if TYPE_CHECKING:
    from engine.python.caffe.net import Net

SHOWN = 5

CONVERSIONS = {
    (3, 1): cv2.COLOR_BGR2GRAY,
    (4, 1): cv2.COLOR_BGRA2GRAY,
    (4, 3): cv2.COLOR_BGRA2BGR,
    (1, 3): cv2.COLOR_GRAY2BGR,
}
"""By the number of channels of the picture and of the net."""

EPILOG = """\b
Example:
  classification deploy.prototxt net.caffemodel mean.binaryproto labels.txt cat.jpg

labels.txt has one line per class. The mean image is reduced to one mean per channel.
"""


@tool("classification", EPILOG)
@click.argument("model", metavar="deploy.prototxt")
@click.argument("weights", metavar="network.caffemodel")
@click.argument("mean", metavar="mean.binaryproto", type=Path)
@click.argument("labels", metavar="labels.txt", type=Path)
@click.argument("image", metavar="img.jpg")
def classification(model: str, weights: str, mean: Path, labels: Path, image: str) -> None:
    """Print the five most likely classes of a picture."""
    from engine.python.caffe import TEST  # noqa: PLC0415  imports JAX, which --help does not need
    from engine.python.caffe.net import Net  # noqa: PLC0415

    net = Net(model, TEST, weights=weights)
    names = list(read_lines(labels))
    means = _means(net, mean)
    scores = _scores(net, _prepared(_read(image), net.blobs[net.inputs[0]].shape[1:], means))
    if len(scores) != len(names):
        raise DataError(f"{labels}: {len(names)} labels, and the net has {len(scores)} classes; give a line for each.")
    print(f"---------- Prediction for {image} ----------")
    for k in np.argsort(-scores, kind="stable")[:SHOWN]:
        print(f'{scores[k]:.4f} - "{printable(names[k], one_line=True)}"')


def main(argv: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    return command.run(classification, argv)


def _means(net: "Net", path: Path) -> np.ndarray:
    """The mean of each channel, (channels,). Raises DataError for a net that cannot classify pictures with it."""
    if len(net.inputs) != 1 or len(net.outputs) != 1:
        raise DataError(
            f"the net has inputs {', '.join(net.inputs) or 'none'} and outputs {', '.join(net.outputs) or 'none'}; "
            "one of each is needed, as a deploy.prototxt has."
        )
    shape = tuple(net.blobs[net.inputs[0]].shape)
    if len(shape) != 4 or shape[1] not in (1, 3):
        raise DataError(f"the net's input is {by(shape)}; pictures of 1 or 3 channels are needed, as 1×3×227×227.")
    mean = read_mean(path)
    if len(mean) != shape[1]:
        raise DataError(f"{path}: a mean of {len(mean)} channels, and the net's input has {shape[1]}.")
    means: np.ndarray = mean.reshape(len(mean), -1).mean(axis=1, dtype=np.float64)
    return means.astype(np.float32)


def _read(image: str) -> np.ndarray:
    """The picture as it is stored, (height, width, channels). Raises DataError."""
    try:
        return datum.decode_any_depth(read_file(Path(image)), Colour.AS_STORED).transpose(1, 2, 0)
    except DataError as e:
        raise DataError(f"{image}: {e}.") from e


def _prepared(image: np.ndarray, shape: Sequence[int], means: np.ndarray) -> np.ndarray:
    """The picture converted to `shape`, (channels, height, width), with the means subtracted."""
    channels, height, width = shape
    code = CONVERSIONS.get((image.shape[2], channels))
    image = np.ascontiguousarray(image)
    sample = image if code is None else cv2.cvtColor(image, code)
    if sample.shape[:2] != (height, width):
        sample = cv2.resize(sample, (width, height))
    planes = sample.reshape(height, width, -1).astype(np.float32).transpose(2, 0, 1)
    if len(planes) != channels:
        raise DataError(f"the picture has {len(planes)} channels, and the net's input {channels}.")
    prepared: np.ndarray = planes - means[:, None, None]
    return prepared


def _scores(net: "Net", image: np.ndarray) -> np.ndarray:
    """The net's output for one picture, (classes,)."""
    net.blobs[net.inputs[0]].reshape(1, *image.shape)
    net.blobs[net.inputs[0]].data[...] = image
    return np.ravel(net.forward()[net.outputs[0]])


if __name__ == "__main__":
    raise SystemExit(main())
