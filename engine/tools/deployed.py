"""What classify.py and detect.py share: the flags that name a net and how its pictures are preprocessed."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import DataError

MODEL = Path("models/bvlc_reference_caffenet")
"""BVLC's reference net, below the folder of Caffe's own sources, in which its examples are run."""
MEAN = Path("python/caffe/imagenet/ilsvrc_2012_mean.npy")


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of both, with BVLC's names and defaults."""
    parser.add_argument("--model_def", default=MODEL / "deploy.prototxt", metavar="FILE", help="model definition file")
    parser.add_argument(
        "--pretrained_model",
        default=MODEL / "bvlc_reference_caffenet.caffemodel",
        metavar="FILE",
        help="trained model weights file",
    )
    parser.add_argument("--gpu", action="store_true", help="switch for gpu computation")
    parser.add_argument(
        "--mean_file",
        default=MEAN,
        metavar="FILE",
        help="mean of the data set, (channels, height, width), as .npy; '' for none",
    )
    parser.add_argument(
        "--input_scale", type=float, metavar="S", help="multiply input features by this to finish preprocessing"
    )
    parser.add_argument(
        "--raw_scale", type=float, default=255.0, metavar="S", help="multiply raw input by this before preprocessing"
    )
    parser.add_argument(
        "--channel_swap",
        type=numbers,
        default="2,1,0",
        metavar="N,…",
        help="order of the input's channels; the default makes BGR, Caffe's order, of RGB; '' for none",
    )


def numbers(text: str) -> list[int]:
    """Whole numbers between commas. Raises ValueError, which argparse tells."""
    return [int(part) for part in text.split(",")] if text else []


def check(args: argparse.Namespace) -> None:
    """Raises DataError for a file of the flags that is not there, before anything slow begins."""
    for flag in ("model_def", "pretrained_model", "mean_file"):
        path = getattr(args, flag)
        if str(path) and not Path(path).is_file():
            without = " --mean_file '' goes without." if flag == "mean_file" else ""
            raise DataError(f"{path}: no such file; --{flag} FILE names yours.{without}")


def preprocessing(args: argparse.Namespace) -> dict[str, Any]:
    """The keywords of caffe.Classifier and caffe.Detector that the flags stand for. Raises DataError."""
    return {
        "mean": load_array(args.mean_file) if str(args.mean_file) else None,
        "input_scale": args.input_scale,
        "raw_scale": args.raw_scale,
        "channel_swap": args.channel_swap or None,
    }


def load_array(path: str | Path) -> np.ndarray:
    """The array in a .npy file. Raises DataError."""
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as e:
        raise DataError(f"{path}: cannot be read as .npy: {getattr(e, 'strerror', None) or e}") from e
    if not isinstance(array, np.ndarray):
        raise DataError(f"{path}: holds several arrays (.npz), and one (.npy) is needed.")
    return array


def set_mode(gpu: bool) -> None:
    """The device that --gpu says. Raises DeviceError."""
    from engine.python.caffe import mode  # noqa: PLC0415

    if gpu:
        mode.set_mode_gpu()
    else:
        mode.set_mode_cpu()
    print("GPU mode" if gpu else "CPU mode")
