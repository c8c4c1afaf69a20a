"""convert_mnist_data: idx files of pictures and labels → a database of Datum records, as Caffe's own tool makes it."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from engine import log
from engine.data import datum, idx
from engine.data.databases import LMDBWriter
from engine.errors import DataError
from engine.tools.command import arguments, run

EXAMPLE = """example:
  convert_mnist_data -backend=lmdb train-images-idx3-ubyte.gz train-labels-idx1-ubyte.gz mnist_train_lmdb

The files may be gzipped. Fetch them with scripts/get_mnist, which also calls this tool.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    parser = argparse.ArgumentParser(
        "convert_mnist_data",
        description="Turn the MNIST digits, or other idx files, into a database that the Data layer reads.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("-backend", "--backend", choices=["lmdb"], default="lmdb", help="format of the result (lmdb)")
    parser.add_argument("images", metavar="input_image_file", type=Path)
    parser.add_argument("labels", metavar="input_label_file", type=Path)
    parser.add_argument("database", metavar="output_db_file", type=Path)
    left, flags = arguments(parser.prog, argv)
    args = parser.parse_args(left)
    return run(parser.prog, lambda: convert(args.images, args.labels, args.database), flags)


def convert(images: Path, labels: Path, database: Path) -> None:
    """Writes `database`, whole or not at all: a record a picture, keys 00000000, 00000001, …

    Raises DataError for files that are no idx files or do not belong together, and for a database that is there.
    """
    pictures, classes = idx.read_images(images), idx.read_labels(labels)
    if len(pictures) != len(classes):
        raise DataError(
            f"{images} holds {len(pictures):,} pictures and {labels} {len(classes):,} labels. Are both of one set?"
        )
    with LMDBWriter(database) as db:
        log.info("convert_mnist_data", f"A total of {len(pictures)} items.")
        log.info("convert_mnist_data", f"Rows: {pictures.shape[1]} Cols: {pictures.shape[2]}")
        for i, (picture, label) in enumerate(zip(pictures, classes, strict=True)):
            db.put(b"%08d" % i, datum.raw(picture[None], label).SerializeToString())
    log.info("convert_mnist_data", f"Processed {len(pictures)} files.")


if __name__ == "__main__":
    raise SystemExit(main())
