"""convert_cifar_data: CIFAR-10's binary batches → databases of Datum records, like Caffe's own tool.

The format: https://www.cs.toronto.edu/~kriz/cifar.html, "binary version": one byte of label, then 3×32×32 bytes of
pixels per record.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import numpy as np

from engine import log
from engine.data import datum
from engine.data.backends import WRITERS
from engine.errors import DataError
from engine.host import atomic_file, regular_file
from engine.tools import command
from engine.tools.command import tool

WHERE = "convert_cifar_data"
SHAPE = (3, 32, 32)
RECORD = 1 + 3 * 32 * 32
"""Bytes per record: a label and its picture."""
CLASSES = 10
TRAIN = tuple(f"data_batch_{i}.bin" for i in range(1, 6))
_WHICH = "Is it CIFAR-10's binary version?"
TEST = ("test_batch.bin",)

EPILOG = """\b
Example:
  convert_cifar_data cifar-10-batches-bin examples/cifar10 lmdb

Builds cifar10_train_lmdb from data_batch_1.bin … data_batch_5.bin, and cifar10_test_lmdb from test_batch.bin. These
files come in cifar-10-binary.tar.gz from https://www.cs.toronto.edu/~kriz/cifar.html
"""


@tool("convert_cifar_data", EPILOG)
@click.argument("source", metavar="INPUT_FOLDER", type=Path)
@click.argument("target", metavar="OUTPUT_FOLDER", type=Path)
@click.argument("backend", metavar="DB_TYPE", type=click.Choice(list(WRITERS)))
def convert_cifar_data(source: Path, target: Path, backend: str) -> None:
    """Build two databases for the Data layer from CIFAR-10's binary batches."""
    if not source.is_dir():
        raise DataError(f"{source}: no such folder.")
    with atomic_file.writing(target, DataError):
        target.mkdir(exist_ok=True)
    for part, names, title in (("train", TRAIN, "Training"), ("test", TEST, "Testing")):
        log.info(WHERE, f"Writing {title} data")
        write(target / f"cifar10_{part}_{backend}", [source / name for name in names], backend)


def main(argv: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    return command.run(convert_cifar_data, argv)


def write(database: Path, batches: Sequence[Path], backend: str) -> None:
    """Writes `database`, all or nothing: one record per picture, with keys 00000, 00001, … across all batches.

    Raises DataError for a file that is not a batch, and if the database already exists.
    """
    count = 0
    with WRITERS[backend](database) as db:
        for number, path in enumerate(batches, start=1):
            if len(batches) > 1:
                log.info(WHERE, f"Training Batch {number}")
            for label, picture in read(path):
                db.put(b"%05d" % count, datum.raw(picture, label).SerializeToString())
                count += 1


def read(path: Path) -> Iterator[tuple[int, np.ndarray]]:
    """The label and the uint8 picture (3, 32, 32), in the order red, green, blue, of each record. Raises DataError."""
    try:
        data = regular_file.read(path)
    except OSError as e:
        raise DataError(f"{path}: cannot be read: {e.strerror}. Unpack cifar-10-binary.tar.gz.") from e
    if not data or len(data) % RECORD:
        raise DataError(f"{path}: {len(data):,} bytes; a batch has {RECORD:,} per picture. {_WHICH}")
    rows = np.frombuffer(data, np.uint8).reshape(-1, RECORD)
    if (worst := np.max(rows[:, 0])) >= CLASSES:
        at = int(np.argmax(rows[:, 0] >= CLASSES))
        raise DataError(f"{path}: record {at:,} has label {worst}; CIFAR-10's labels are 0 to 9. {_WHICH}")
    return ((int(row[0]), row[1:].reshape(SHAPE)) for row in rows)


if __name__ == "__main__":
    raise SystemExit(main())
