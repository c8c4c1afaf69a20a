"""convert_mnist_siamese_data: idx files of pictures and labels → a database of pairs, like Caffe's own tool."""

from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np

from engine import log
from engine.data import datum, idx
from engine.data.backends import WRITERS
from engine.tools import command
from engine.tools.command import tool

WHERE = "convert_mnist_siamese_data"

EPILOG = """\b
Example:
  convert_mnist_siamese_data train-images-idx3-ubyte train-labels-idx1-ubyte mnist_siamese_train_leveldb

The files may be gzipped. Pairs are drawn at random, with a fixed seed: as many as there are pictures, two channels
each, with label 1 if both show the same digit and 0 otherwise.
"""


@tool("convert_mnist_siamese_data", EPILOG)
@click.option(
    "--backend",
    type=click.Choice(list(WRITERS)),
    default="leveldb",
    show_default=True,
    help="The kind of database. Caffe's own tool only writes leveldb.",
)
@click.argument("images", metavar="input_image_file", type=Path)
@click.argument("labels", metavar="input_label_file", type=Path)
@click.argument("database", metavar="output_db_file", type=Path)
def convert_mnist_siamese_data(backend: str, images: Path, labels: Path, database: Path) -> None:
    """Build a database of pairs of digits, for siamese networks."""
    pictures, classes = idx.read_pair(images, labels)
    log.info(WHERE, f"A total of {len(pictures)} items.")
    log.info(WHERE, f"Rows: {pictures.shape[1]} Cols: {pictures.shape[2]}")
    pairs = np.random.default_rng(0).integers(len(pictures), size=(len(pictures), 2))
    with WRITERS[backend](database) as db:
        for i, pair in enumerate(pairs):
            one, other = classes[pair]
            db.put(b"%08d" % i, datum.raw(pictures[pair], int(one == other)).SerializeToString())


def main(argv: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    return command.run(convert_mnist_siamese_data, argv)


if __name__ == "__main__":
    raise SystemExit(main())
