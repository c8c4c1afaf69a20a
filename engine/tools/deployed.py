"""What classify.py and detect.py share: the flags that name a net and say how its pictures are preprocessed."""

import tokenize
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import Any

import click
import numpy as np

from engine.errors import DataError
from engine.host import regular_file

MODEL = Path("models/bvlc_reference_caffenet")
"""BVLC's reference net, relative to the root of Caffe's source tree, where its examples are run."""
MEAN = Path("python/caffe/imagenet/ilsvrc_2012_mean.npy")


def numbers(text: str) -> list[int]:
    """Comma-separated whole numbers. Raises click's BadParameter."""
    try:
        return [int(part) for part in text.split(",")] if text else []
    except ValueError:
        raise click.BadParameter(f'"{text}" is not a comma-separated list of whole numbers') from None


FLAGS = (
    click.option("--model_def", default=str(MODEL / "deploy.prototxt"), metavar="FILE", help="The net's prototxt."),
    click.option(
        "--pretrained_model",
        default=str(MODEL / "bvlc_reference_caffenet.caffemodel"),
        metavar="FILE",
        help="The net's trained parameters.",
    ),
    click.option("--gpu", is_flag=True, help="Run on the GPU instead of the CPU."),
    click.option(
        "--mean_file",
        default=str(MEAN),
        metavar="FILE",
        help="Subtract this mean of the data set, a .npy of (channels, height, width); '' for none.",
    ),
    click.option("--input_scale", type=float, metavar="S", help="Multiply the input by this last."),
    click.option(
        "--raw_scale",
        type=float,
        default=255.0,
        show_default=True,
        metavar="S",
        help="Multiply the raw input by this first.",
    ),
    click.option(
        "--channel_swap",
        type=numbers,
        default="2,1,0",
        show_default=True,
        metavar="N,…",
        help="Reorder the channels; the default turns RGB into Caffe's BGR; '' leaves them as they are.",
    ),
)
"""The flags of both, with BVLC's names and defaults."""


@dataclass(frozen=True)
class Deployed:
    """The values of the FLAGS."""

    model_def: str
    pretrained_model: str
    gpu: bool
    mean_file: str
    input_scale: float | None
    raw_scale: float
    channel_swap: list[int]


def flags(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the FLAGS to a tool's function, which receives them as the keyword argument `of`."""

    @wraps(function)
    def call(**options: Any) -> Any:
        named = {field.name: options.pop(field.name) for field in fields(Deployed)}
        return function(of=Deployed(**named), **options)

    for option in reversed(FLAGS):
        call = option(call)
    return call


def check(args: Deployed) -> None:
    """Raises DataError if a file named by the flags does not exist, before anything slow begins."""
    for flag in ("model_def", "pretrained_model", "mean_file"):
        path = getattr(args, flag)
        if path and not Path(path).is_file():
            without = " With --mean_file '' no mean is subtracted." if flag == "mean_file" else ""
            raise DataError(f"{path}: no such file; name yours with --{flag} FILE.{without}")


def preprocessing(args: Deployed) -> dict[str, Any]:
    """The flags as keyword arguments of caffe.Classifier and caffe.Detector. Raises DataError."""
    return {
        "mean": load_array(args.mean_file) if args.mean_file else None,
        "input_scale": args.input_scale,
        "raw_scale": args.raw_scale,
        "channel_swap": args.channel_swap or None,
    }


def load_array(path: str | Path) -> np.ndarray:
    """The array of numbers in a .npy file. Raises DataError."""
    try:
        regular_file.check(path)
        array = np.load(path, allow_pickle=False)
    except _DAMAGE as e:
        raise DataError(f"{path}: cannot be read as .npy: {getattr(e, 'strerror', None) or e}") from e
    if not isinstance(array, np.ndarray):
        raise DataError(f"{path}: holds several arrays (.npz); a single one (.npy) is needed.")
    if array.dtype.kind not in "biuf":
        raise DataError(f"{path}: holds values of type {array.dtype}; numbers are needed.")
    return array


_DAMAGE = (OSError, ValueError, EOFError, OverflowError, MemoryError, tokenize.TokenError, zipfile.BadZipFile)
"""What np.load raises: its header is read as Python, and may give any shape; a file may also claim to be a .npz."""


def set_mode(gpu: bool) -> None:
    """Selects the device that --gpu asks for. Raises DeviceError."""
    from engine.python.caffe import mode  # noqa: PLC0415

    if gpu:
        mode.set_mode_gpu()
    else:
        mode.set_mode_cpu()
    print("GPU mode" if gpu else "CPU mode")
