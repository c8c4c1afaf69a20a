"""get_mnist: the whole MNIST set, fetched and checked, as the two databases that configs/models/lenet reads."""

import hashlib
import os
import tempfile
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from http.client import HTTPException
from pathlib import Path

import click

from engine import log
from engine.data import idx
from engine.data.lmdb_reader import LMDB
from engine.errors import DataError
from engine.host.atomic_file import writing
from engine.tools import command
from engine.tools.command import tool
from engine.tools.convert_mnist_data import convert

MIRRORS = (
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
)

SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
"""Digests of the unpacked files, so that any way of compressing them will do."""

DATABASES = {"mnist_train_lmdb": "train", "mnist_test_lmdb": "t10k"}
SHIPPED = (5_000, 1_000)
"""Records of the same databases made of the digits in configs/models/lenet/digits."""
TIMEOUT = 30.0
"""Seconds without a byte after which a connection counts as dropped."""
LARGEST = 1 << 24
"""Bytes: more than any of the files has, gzipped."""

EPILOG = """\b
Examples:
  scripts/get_mnist                     fetch it (11 MB; proxies are taken from https_proxy)
  scripts/get_mnist --from ~/mnist      take the four idx files from a folder, gzipped or not

On a cluster whose nodes have no way out, run it on the login node, or fetch the four files elsewhere, copy them and use
--from. The files are kept in the cache folder, so that a second run needs no network.
"""


@tool("get_mnist", EPILOG)
@click.option("--from", "folder", metavar="DIR", type=Path, help="Take the idx files from this folder.")
@click.option("--to", metavar="DIR", type=Path, default=Path(), help="Where to make the databases (here).")
def get_mnist(folder: Path | None, to: Path) -> None:
    """Fetches the MNIST digits, checks them, and makes mnist_train_lmdb and mnist_test_lmdb."""
    get(folder, to)


def main(argv: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    return command.run(get_mnist, argv)


def get(folder: Path | None, to: Path) -> None:
    """Makes the databases in `to` from the files in `folder`, or from fetched ones for None. Those that are whole stay.

    Raises DataError.
    """
    if not to.is_dir():
        raise DataError(f"{to}: no such folder.")
    if folder is None:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hpcbrew" / "mnist"
        fetch(folder)
    files = {name: check(find(folder, name), digest) for name, digest in SHA256.items()}
    for name, part in DATABASES.items():
        make(to / name, files[f"{part}-images-idx3-ubyte"], files[f"{part}-labels-idx1-ubyte"])


def find(folder: Path, name: str) -> Path:
    """The file of that name in `folder`, gzipped or not. Raises DataError."""
    for path in (folder / f"{name}.gz", folder / name):
        if path.is_file():
            return path
    raise DataError(f"{folder}: has neither {name}.gz nor {name}.")


def check(path: Path, digest: str) -> Path:
    """`path`, if its unpacked contents have that SHA-256. Raises DataError."""
    found = hashlib.sha256(idx.unpacked(path)).hexdigest()
    if found != digest:
        raise DataError(f"{path}: SHA-256 of its contents is {found} and MNIST's is {digest}. Fetch it again.")
    return path


def fetch(folder: Path, digests: Mapping[str, str] = SHA256, mirrors: Sequence[str] = MIRRORS) -> None:
    """Brings the files that `folder` lacks, or has damaged, from the first mirror that gives them whole.

    Raises DataError with what each mirror said.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise DataError(f"{folder}: cannot be made: {e.strerror}.") from e
    for name, digest in digests.items():
        path = folder / f"{name}.gz"
        if _whole(path, digest):
            continue
        said = []
        for mirror in mirrors:
            try:
                _download(f"{mirror}{name}.gz", path, digest)
                break
            except DataError as e:
                said.append(f"  {e}")
        else:
            raise DataError(
                "\n".join([f"{name}.gz cannot be fetched:", *said])
                + "\nWithout a way out (https_proxy?), copy the four files here and use --from DIR."
            )


def _whole(path: Path, digest: str) -> bool:
    try:
        return path.is_file() and check(path, digest) == path
    except DataError:
        return False


def _download(url: str, path: Path, digest: str) -> None:
    log.info("get_mnist", f"Fetching {url}")
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    part = Path(temporary)
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as answer, os.fdopen(descriptor, "wb") as file:  # noqa: S310
            file.write(answer.read(LARGEST))
            file.flush()
            os.fsync(file.fileno())
        try:
            check(part, digest)
        except DataError as e:
            raise DataError(f"{url}: what came is not MNIST's file: {e}") from e
        part.replace(path)
    except urllib.error.HTTPError as e:
        raise DataError(f"{url}: the server answers {e.code} {e.reason}.") from e
    except (OSError, HTTPException) as e:  # URLError is an OSError
        raise DataError(f"{url}: {getattr(e, 'reason', None) or e or type(e).__name__}") from e
    finally:
        part.unlink(missing_ok=True)


def make(database: Path, images: Path, labels: Path) -> None:
    """Makes the `database`, in the place of a smaller one if that was made of the digits that come with hpcbrew.

    Raises DataError for anything else of that name.
    """
    if database.exists():
        entries = _entries(database)
        if entries == len(idx.read_labels(labels)):
            log.info("get_mnist", f"{database} is there already, with {entries} records.")
            return
        if entries not in SHIPPED:
            raise DataError(f"{database}: is there already, with {entries:,} records. Remove it, or use --to.")
        log.info("get_mnist", f"{database}: the digits that come with hpcbrew make room for the whole set.")
    with (
        writing(database, DataError),
        tempfile.TemporaryDirectory(prefix=f".{database.name}.", dir=database.parent) as folder,
    ):
        new = Path(folder) / "new"
        convert(images, labels, new)
        if database.exists():
            database.rename(Path(folder) / "old")
        new.rename(database)


def _entries(database: Path) -> int:
    db = LMDB(database)
    try:
        return db.entries
    finally:
        db.close()


if __name__ == "__main__":
    raise SystemExit(main())
