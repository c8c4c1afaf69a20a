"""get_mnist: downloads and checks all of MNIST, and builds the two databases that configs/models/lenet reads."""

import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

import click

from engine import log
from engine.data import idx
from engine.data.lmdb_reader import LMDB
from engine.errors import DataError
from engine.host.atomic_file import writing
from engine.tools import command, mirrors
from engine.tools.command import tool
from engine.tools.convert_mnist_data import convert
from engine.tools.mirrors import Mirrors

URLS = (
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
)

SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
"""Digests of the unpacked files, so that it does not matter how they are compressed."""

DATABASES = {"mnist_train_lmdb": "train", "mnist_test_lmdb": "t10k"}
SHIPPED = (5_000, 1_000)
"""Records in the same databases when they are built from the digits in configs/models/lenet/digits."""
LARGEST = 1 << 24
"""Bytes: an upper bound of each gzipped file's size."""

EPILOG = """\b
Examples:
  scripts/get_mnist                     download it (11 MB; the proxy is taken from https_proxy)
  scripts/get_mnist --from ~/mnist      take the four idx files from a folder, gzipped or not

scripts/get_mnist builds the databases in configs/models/lenet unless --to names another folder. On a cluster whose
nodes have no internet access, run it on the login node, or download the four files elsewhere, copy them and use --from.
Downloads are kept in the user's cache, so that a second run needs no network.
"""


@tool("get_mnist", EPILOG)
@click.option("--from", "folder", metavar="DIR", type=Path, help="Take the idx files from this folder.")
@click.option("--to", metavar="DIR", type=Path, default=Path(), help="Build the databases in this folder.")
def get_mnist(folder: Path | None, to: Path) -> None:
    """Download the MNIST digits, check them, and build mnist_train_lmdb and mnist_test_lmdb."""
    get(folder, to)


def main(argv: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    return command.run(get_mnist, argv)


def get(folder: Path | None, to: Path) -> None:
    """Builds the databases in `to` from the files in `folder`, or for None downloads these. Complete databases stay.

    Raises DataError.
    """
    if not to.is_dir():
        raise DataError(f"{to}: no such folder.")
    if folder is None:
        folder = mirrors.cache("mnist")
        fetch(folder)
    files = {name: check(find(folder, name), digest) for name, digest in SHA256.items()}
    for name, part in DATABASES.items():
        make(to / name, files[f"{part}-images-idx3-ubyte"], files[f"{part}-labels-idx1-ubyte"])


def find(folder: Path, name: str) -> Path:
    """The file `name` in `folder`, gzipped or not. Raises DataError if neither is there."""
    for path in (folder / f"{name}.gz", folder / name):
        if path.is_file():
            return path
    raise DataError(f"{folder}: has neither {name}.gz nor {name}.")


def check(path: Path, digest: str) -> Path:
    """Returns `path` if its unpacked contents have the SHA-256 `digest`. Raises DataError otherwise."""
    found = hashlib.sha256(idx.unpacked(path)).hexdigest()
    if found != digest:
        raise DataError(f"{path}: its contents have the SHA-256 {found}, but MNIST's is {digest}. Fetch it again.")
    return path


def fetch(folder: Path, digests: Mapping[str, str] = SHA256, urls: Sequence[str] = URLS) -> None:
    """Downloads the files that are missing or damaged in `folder`. Raises DataError with each mirror's error."""
    files = {f"{name}.gz": partial(check, digest=digest) for name, digest in digests.items()}
    mirrors.fetch(folder, files, Mirrors("MNIST", urls, LARGEST))


def make(database: Path, images: Path, labels: Path) -> None:
    """Builds `database`, replacing one of the same name that was built from the digits shipped with hpcbrew.

    Raises DataError if anything else has that name.
    """
    if database.exists():
        with closing(LMDB(database)) as db:
            entries = db.entries
        if entries == len(idx.read_labels(labels)):
            log.info("get_mnist", f"{database} already exists, with {entries} records.")
            return
        if entries not in SHIPPED:
            raise DataError(f"{database}: already exists, with {entries:,} records. Remove it, or use --to.")
        log.info("get_mnist", f"{database}: replacing the digits shipped with hpcbrew with the full set.")
    with (
        writing(database, DataError),
        tempfile.TemporaryDirectory(prefix=f".{database.name}.", dir=database.parent) as folder,
    ):
        new = Path(folder) / "new"
        convert(images, labels, new)
        if database.exists():
            database.rename(Path(folder) / "old")
        new.rename(database)


if __name__ == "__main__":
    raise SystemExit(main())
