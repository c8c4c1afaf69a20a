"""`classify.py INPUT OUTPUT`: classifies pictures with a deploy net."""

import io
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np

from engine.errors import DataError
from engine.host import atomic_file
from engine.tools import command, deployed
from engine.tools.command import tool
from engine.tools.deployed import Deployed

EPILOG = """\b
Example:
  classify.py --model_def deploy.prototxt --pretrained_model net.caffemodel --mean_file mean.npy cat.jpg scores.npy
"""


@tool("classify.py", EPILOG)
@click.argument("source", metavar="INPUT")
@click.argument("target", metavar="OUTPUT")
@deployed.flags
@click.option("--center_only", is_flag=True, help="Score only the centre crop instead of averaging over ten crops.")
@click.option(
    "--images_dim",
    type=deployed.numbers,
    default="256,256",
    show_default=True,
    metavar="H,W",
    help="Resize pictures to this height and width before cropping.",
)
@click.option("--ext", default="jpg", show_default=True, help="In a folder, read the files with this extension.")
def classify(source: str, target: str, of: Deployed, center_only: bool, images_dim: list[int], ext: str) -> None:
    """Classify INPUT: a picture, a folder of pictures, or a .npy array of pictures.

    The scores, an array of shape (pictures, classes), are written to OUTPUT, a .npy file.
    """
    deployed.check(of)
    output = Path(target if target.endswith(".npy") else f"{target}.npy")
    if not output.absolute().parent.is_dir():
        raise DataError(f"{output}: its folder is not there.")
    from engine.python.caffe.classifier import Classifier  # noqa: PLC0415  imports JAX, which --help does not need

    deployed.set_mode(of.gpu)
    net = Classifier(of.model_def, of.pretrained_model, image_dims=images_dim or None, **deployed.preprocessing(of))
    inputs = pictures(Path(os.path.expanduser(source)), ext)  # noqa: PTH111  unlike Path's, leaves an unknown ~user be
    print(f"Classifying {len(inputs)} inputs.")
    start = time.perf_counter()
    predictions = net.predict(inputs, not center_only)
    print(f"Done in {time.perf_counter() - start:.2f} s.")
    print(f"Saving results into {output}")
    array = io.BytesIO()
    np.save(array, predictions)
    with atomic_file.writing(output, DataError):
        atomic_file.replace(output, array.getvalue())


def main(argv: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    return command.run(classify, argv)


def pictures(path: Path, ext: str) -> Sequence[np.ndarray]:
    """The pictures at `path`, each (height, width, channels). Raises DataError."""
    from engine.python.caffe.io import load_image  # noqa: PLC0415

    if path.is_dir():
        print(f"Loading folder: {path}")
        paths = sorted(path.glob(f"*.{ext}"))
        if not paths:
            raise DataError(f"{path}: contains no *.{ext} file; give another extension with --ext.")
        return [load_image(each) for each in paths]
    print(f"Loading file: {path}")
    if path.suffix != ".npy":
        return [load_image(path)]
    array = deployed.load_array(path)
    if array.ndim != 4:
        raise DataError(f"{path}: array of shape {list(array.shape)}; it must be (number, height, width, channels).")
    return list(array)


if __name__ == "__main__":
    sys.exit(main())
