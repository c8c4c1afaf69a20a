"""compute_image_mean: a database of Datum records → the mean of its pictures, as Caffe's own tool makes it."""

from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np

from engine import log
from engine.data import datum
from engine.data.backends import READERS
from engine.data.databases import Database, name_key
from engine.data.transform import by
from engine.errors import DataError
from engine.host import ordered
from engine.proto import binary
from engine.proto import caffe_pb2 as pb
from engine.tools import command, progress
from engine.tools.command import backend_option, tool

WHERE = "compute_image_mean"
EVERY = 10_000
"""Records a line of the log."""

EPILOG = """\b
Example:
  compute_image_mean train_lmdb mean.binaryproto

OUTPUT_FILE is there when all of it is. Started again after it was stopped, the tool begins anew.
"""


@tool("compute_image_mean", EPILOG)
@backend_option
@click.argument("database", metavar="INPUT_DB", type=Path)
@click.argument("output", metavar="[OUTPUT_FILE]", type=Path, required=False)
def compute_image_mean(backend: str, database: Path, output: Path | None) -> None:
    """Computes the mean picture of a database, for transform_param's mean_file, and the mean of each channel."""
    if output is not None and not output.parent.is_dir():
        raise DataError(f"{output}: cannot be written: no such folder.")
    opened = READERS[backend](database)
    try:
        mean = mean_of(opened)
    finally:
        opened.close()
    if output is not None:
        log.info(WHERE, f"Write to {output}")
        binary.write(output, to_blob(mean))
    log.info(WHERE, f"Number of channels: {len(mean)}")
    for i, value in enumerate(mean.mean((1, 2))):
        log.info(WHERE, f"mean_value channel [{i}]: {log.number(value)}")


def main(argv: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    return command.run(compute_image_mean, argv)


def mean_of(database: Database) -> np.ndarray:
    """The mean (channels, height, width) of all pictures, float64.

    Pictures of bytes are summed exactly. Caffe sums float32 numbers, one picture after the other, and is the further
    off the more there are. Raises DataError for a record that is none, and for one of another size than the first.
    """
    first_key, value = next(database.records())
    first = _picture(database, first_key, value)
    if datum.parse(value).encoded:
        log.info(WHERE, "Decoding Datum")
    log.info(WHERE, "Starting iteration")
    total, count = np.zeros(first.shape, np.int64 if first.dtype == np.uint8 else np.float64), 0

    def added(records: list[tuple[bytes, bytes]]) -> tuple[np.ndarray, int]:
        return _sum(database, records, first), len(records)

    records = progress.shown(database.records(), getattr(database, "entries", None))
    for part, size in ordered.mapped(added, ordered.chunks(records)):
        total = total + part
        before, count = count, count + size
        for done in range(before // EVERY + 1, count // EVERY + 1):
            log.info(WHERE, f"Processed {done * EVERY} files.")
    if count % EVERY:
        log.info(WHERE, f"Processed {count} files.")
    return total / count


def to_blob(mean: np.ndarray) -> pb.BlobProto:
    """The blob of a mean as Caffe writes it, with num, channels, height and width instead of a shape."""
    channels, height, width = mean.shape
    blob = binary.from_array(mean)
    blob.ClearField("shape")
    blob.num, blob.channels, blob.height, blob.width = 1, channels, height, width
    return blob


def _sum(database: Database, records: list[tuple[bytes, bytes]], first: np.ndarray) -> np.ndarray:
    total = np.zeros(first.shape, np.uint32 if first.dtype == np.uint8 else np.float64)
    for key, value in records:
        picture = _picture(database, key, value)
        if picture.shape != first.shape or picture.dtype != first.dtype:
            raise DataError(
                f"{_where(database, key)}: Incorrect data field size {picture.size}: is {by(picture.shape)} of "
                f"{picture.dtype}, and the first record is {by(first.shape)} (channels × height × width) of "
                f"{first.dtype}. Make the database with one size: convert_imageset -resize_height … -resize_width …"
            )
        total += picture
    return total


def _picture(database: Database, key: bytes, value: bytes) -> np.ndarray:
    try:
        return datum.pixels(datum.parse(value))
    except DataError as e:
        raise DataError(f"{_where(database, key)}: {e}.") from e


def _where(database: Database, key: bytes) -> str:
    return f'{database.path}: record "{name_key(key)}"'


if __name__ == "__main__":
    raise SystemExit(main())
