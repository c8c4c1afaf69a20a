"""`classify.py INPUT OUTPUT`: classes of pictures by a deployed net."""

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
@click.option("--center_only", is_flag=True, help="Take the centre of each picture alone, not the mean of ten crops.")
@click.option(
    "--images_dim",
    type=deployed.numbers,
    default="256,256",
    show_default=True,
    metavar="H,W",
    help="Height and width that pictures are brought to before they are cropped.",
)
@click.option("--ext", default="jpg", show_default=True, help="Which files of a folder are taken.")
def classify(source: str, target: str, of: Deployed, center_only: bool, images_dim: list[int], ext: str) -> None:
    """Tells the classes of INPUT: a picture, a folder of pictures, or a .npy of them.

    OUTPUT, a .npy, gets the scores, an array (pictures, classes).
    """
    deployed.check(of)
    output = Path(target if target.endswith(".npy") else f"{target}.npy")
    if not output.absolute().parent.is_dir():
        raise DataError(f"{output}: its folder is not there.")
    from engine.python.caffe.classifier import Classifier  # noqa: PLC0415  imports JAX: --help does without

    deployed.set_mode(of.gpu)
    net = Classifier(of.model_def, of.pretrained_model, image_dims=images_dim or None, **deployed.preprocessing(of))
    inputs = pictures(Path(os.path.expanduser(source)), ext)  # noqa: PTH111  leaves a home that is not there as it is
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
    """The pictures (height, width, channels) that `path` stands for. Raises DataError."""
    from engine.python.caffe.io import load_image  # noqa: PLC0415

    if path.is_dir():
        print(f"Loading folder: {path}")
        found = sorted(path.glob(f"*.{ext}"))
        if not found:
            raise DataError(f"{path}: has no file *.{ext}; --ext names another ending.")
        return [load_image(each) for each in found]
    print(f"Loading file: {path}")
    if path.suffix != ".npy":
        return [load_image(path)]
    array = deployed.load_array(path)
    if array.ndim != 4:
        raise DataError(
            f"{path}: an array of shape {list(array.shape)}; pictures are (number, height, width, channels)."
        )
    return list(array)


if __name__ == "__main__":
    sys.exit(main())
