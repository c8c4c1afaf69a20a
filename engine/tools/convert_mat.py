"""convert_mat: arrays in a MATLAB .mat file or an HDF5 file → a database of Datum records."""

from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np

from engine import log
from engine.data import datum, mat_file
from engine.data.backends import WRITERS
from engine.data.mat_file import Arrays
from engine.data.transform import by
from engine.errors import DataError
from engine.tools import command, progress
from engine.tools.command import backend_option, tool

WHERE = "convert_mat"
EVERY = 1000
"""Records per log line."""

EPILOG = """\b
Examples:
  convert_mat train.mat train_lmdb
  convert_mat -data X -label y -transpose train_32x32.mat svhn_train_lmdb

In MATLAB's order, the array's axes are width × height × channels × number, as in MatCaffe; with -transpose they are
height × width × …, as MATLAB shows pictures. An array of channels × number has no width and height. In an HDF5 file the
axes are Caffe's, number × channels × height × width. If all values are whole numbers from 0 to 255 they are stored as
bytes, else as floats.
"""


@tool("convert_mat", EPILOG)
@click.option("--data", default="data", show_default=True, metavar="NAME", help="The array of pictures.")
@click.option(
    "--label", default="label", show_default=True, metavar="NAME", help="The array of labels; -label= for none."
)
@click.option(
    "--transpose/--notranspose", default=False, help="Swap the axes of pictures that are height × width in MATLAB."
)
@backend_option
@click.argument("source", metavar="MAT_FILE", type=Path)
@click.argument("database", metavar="DB_NAME", type=Path)
def convert_mat(data: str, label: str, transpose: bool, backend: str, source: Path, database: Path) -> None:
    """Build a database for the Data layer from the arrays in a MATLAB file."""
    with mat_file.opened(source, DataError) as file:
        pictures = _pictures(file, data, transpose)
        labels = _labels(file, label, len(pictures)) if label else np.zeros(len(pictures), np.int32)
    log.info(WHERE, f"A total of {len(pictures)} items, {by(pictures.shape[1:])} (channels × height × width).")
    raw = bool(np.all((pictures >= 0) & (pictures <= 255) & (pictures == np.floor(pictures))))
    with WRITERS[backend](database) as db:
        for i, picture in enumerate(progress.shown(pictures, len(pictures))):
            db.put(b"%08d" % i, _record(picture, int(labels[i]), raw))
            if (i + 1) % EVERY == 0:
                log.info(WHERE, f"Processed {i + 1} files.")
    if len(pictures) % EVERY:
        log.info(WHERE, f"Processed {len(pictures)} files.")


def main(argv: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    return command.run(convert_mat, argv)


def _record(picture: np.ndarray, label: int, raw: bool) -> bytes:
    return datum.raw(picture.astype(np.uint8), label).SerializeToString() if raw else datum.floats(picture, label)


def _pictures(file: Arrays, name: str, transpose: bool) -> np.ndarray:
    """The array (number, channels, height, width), float32. Raises DataError."""
    values = _array(file, name, "-data")
    if not 2 <= values.ndim <= 4 or not values.size:
        raise file.wrong(
            f'"{name}" is {by(values.shape)} (outermost axis first); it must be number × channels × height × width, '
            "number × height × width, or number × channels."
        )
    number, *rest = values.shape
    channels = rest[:1] if len(rest) != 2 else [1]
    size = rest[-2:] if len(rest) > 1 else [1, 1]
    values = values.reshape(number, *channels, *size)
    return values.swapaxes(2, 3) if transpose else values


def _labels(file: Arrays, name: str, number: int) -> np.ndarray:
    """One integer per picture. Raises DataError."""
    values = _array(file, name, "-label").ravel()
    if values.size != number:
        raise file.wrong(f'"{name}" has {values.size:,} values, but there are {number:,} pictures.')
    wrong = ~(np.abs(values) < 2**24) | (values != np.floor(values))
    if wrong.any():
        at = int(np.argmax(wrong))
        raise file.wrong(f'"{name}" has {values[at]:g} for picture {at:,}; a label is a whole number.')
    return values.astype(np.int32)


def _array(file: Arrays, name: str, flag: str) -> np.ndarray:
    if name not in file.members():
        names = ", ".join(f'"{each}"' for each in file.members()[:10]) or "none"
        raise file.wrong(f'it has no array "{name}", only {names}. Name one with {flag} NAME.')
    return file.numbers(name)


if __name__ == "__main__":
    raise SystemExit(main())
