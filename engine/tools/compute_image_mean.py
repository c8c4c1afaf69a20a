"""compute_image_mean: a database of Datum records → the mean of its pictures, like Caffe's own tool."""

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
"""Records per log line."""

EPILOG = """\b
Example:
  compute_image_mean train_lmdb mean.binaryproto

OUTPUT_FILE appears only once it is complete. If the tool is interrupted, running it again starts from the beginning.
"""


@tool("compute_image_mean", EPILOG)
@backend_option
@click.argument("database", metavar="INPUT_DB", type=Path)
@click.argument("output", metavar="[OUTPUT_FILE]", type=Path, required=False)
def compute_image_mean(backend: str, database: Path, output: Path | None) -> None:
    """Compute the mean image of a database, for transform_param's mean_file, and the mean of each channel."""
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

    Pictures stored as bytes are summed exactly; Caffe accumulates in float32, whose error grows with the number of
    pictures. Raises DataError for a malformed record, and for one whose size differs from the first's.
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
        for step in range(before // EVERY + 1, count // EVERY + 1):
            log.info(WHERE, f"Processed {step * EVERY} files.")
    if count % EVERY:
        log.info(WHERE, f"Processed {count} files.")
    return total / count


def to_blob(mean: np.ndarray) -> pb.BlobProto:
    """A mean as the blob that Caffe writes, with num, channels, height and width instead of a shape."""
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
                f"{_where(database, key)}: Incorrect data field size {picture.size}: it is {by(picture.shape)} of "
                f"{picture.dtype}, but the first record is {by(first.shape)} (channels × height × width) of "
                f"{first.dtype}. Build the database with one size: convert_imageset -resize_height … -resize_width …"
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
