"""`classify.py INPUT OUTPUT`: classes of pictures by a deployed net."""

import argparse
import io
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from engine.errors import DataError
from engine.host import atomic_file
from engine.tools import command, deployed

EPILOG = """example:
  classify.py --model_def deploy.prototxt --pretrained_model net.caffemodel --mean_file mean.npy cat.jpg scores.npy
"""


def main(argv: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    parser = argparse.ArgumentParser(
        "classify.py",
        description="Tell the classes of pictures; the scores are written as an array (pictures, classes).",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("input_file", metavar="INPUT", help="a picture, a folder of pictures, or a .npy of them")
    parser.add_argument("output_file", metavar="OUTPUT", help="the .npy file to write")
    deployed.add_flags(parser)
    parser.add_argument(
        "--center_only", action="store_true", help="take the centre of each picture alone, not the mean of ten crops"
    )
    parser.add_argument(
        "--images_dim",
        type=deployed.numbers,
        default="256,256",
        metavar="H,W",
        help="height and width that pictures are brought to before they are cropped (256,256)",
    )
    parser.add_argument("--ext", default="jpg", help="which files of a folder are taken (jpg)")
    left, flags = command.arguments(parser.prog, argv)
    args = parser.parse_args(left)
    return command.run(parser.prog, lambda: classify(args), flags)


def classify(args: argparse.Namespace) -> None:
    """Does what the arguments say. Raises EngineErrors."""
    deployed.check(args)
    output = Path(args.output_file if args.output_file.endswith(".npy") else f"{args.output_file}.npy")
    if not output.absolute().parent.is_dir():
        raise DataError(f"{output}: its folder is not there.")
    from engine.python.caffe.classifier import Classifier  # noqa: PLC0415  imports JAX: --help does without

    deployed.set_mode(args.gpu)
    net = Classifier(
        args.model_def, args.pretrained_model, image_dims=args.images_dim or None, **deployed.preprocessing(args)
    )
    inputs = pictures(Path(args.input_file).expanduser(), args.ext)
    print(f"Classifying {len(inputs)} inputs.")
    start = time.perf_counter()
    predictions = net.predict(inputs, not args.center_only)
    print(f"Done in {time.perf_counter() - start:.2f} s.")
    print(f"Saving results into {output}")
    array = io.BytesIO()
    np.save(array, predictions)
    with atomic_file.writing(output, DataError):
        atomic_file.replace(output, array.getvalue())


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
