"""convert_mnist_data: idx files of pictures and labels → a database of Datum records, like Caffe's own tool."""

from collections.abc import Sequence
from pathlib import Path

import click

from engine import log
from engine.data import datum, idx
from engine.data.backends import WRITERS
from engine.tools import command
from engine.tools.command import backend_option, tool

EPILOG = """\b
Example:
  convert_mnist_data -backend=lmdb train-images-idx3-ubyte.gz train-labels-idx1-ubyte.gz mnist_train_lmdb

The files may be gzipped. scripts/get_mnist downloads them, and also runs this tool.
"""


@tool("convert_mnist_data", EPILOG)
@backend_option
@click.argument("images", metavar="input_image_file", type=Path)
@click.argument("labels", metavar="input_label_file", type=Path)
@click.argument("database", metavar="output_db_file", type=Path)
def convert_mnist_data(backend: str, images: Path, labels: Path, database: Path) -> None:
    """Build a database for the Data layer from the MNIST digits or other idx files."""
    convert(images, labels, database, backend)


def main(argv: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    return command.run(convert_mnist_data, argv)


def convert(images: Path, labels: Path, database: Path, backend: str = "lmdb") -> None:
    """Writes `database`, all or nothing: one record per picture, with keys 00000000, 00000001, …

    Raises DataError for files that are not idx files or do not match, and if the database already exists.
    """
    pictures, classes = idx.read_pair(images, labels)
    with WRITERS[backend](database) as db:
        log.info("convert_mnist_data", f"A total of {len(pictures)} items.")
        log.info("convert_mnist_data", f"Rows: {pictures.shape[1]} Cols: {pictures.shape[2]}")
        for i, (picture, label) in enumerate(zip(pictures, classes, strict=True)):
            db.put(b"%08d" % i, datum.raw(picture[None], label).SerializeToString())
    log.info("convert_mnist_data", f"Processed {len(pictures)} files.")


if __name__ == "__main__":
    raise SystemExit(main())
