"""Sizes and SHA-256 digests of uploads. Digests of large files are cached, so that a database is read only once."""

import contextlib
import hashlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from hpcbrew import layout, paths
from hpcbrew.errors import ManifestError
from hpcbrew.hashing import file_sha256
from hpcbrew.plan.items import Item

LARGE = 64 * 2**20


@dataclass(frozen=True)
class Measurement:
    """An item with the size and digest of each of its files, and a digest of the whole, which names it on scratch."""

    item: Item
    sizes: tuple[int, ...]
    digests: tuple[str, ...]
    digest: str

    @property
    def size(self) -> int:
        return sum(self.sizes)


def measure(item: Item) -> Measurement:
    """Reads every file of the item. Raises ManifestError for a file that cannot be read."""
    try:
        sizes = tuple(path.stat().st_size for path in item.files)
        digests = tuple(_digest(path) for path in item.files)
    except OSError as error:
        raise ManifestError(f"{item.role}: {error.filename}: {error.strerror}") from None
    except ValueError:  # raised by Python for a NUL in a name
        odd = next(path for path in item.files if "\0" in str(path))
        raise ManifestError(f"{item.role}: {odd}: a file name cannot contain NUL") from None
    if not item.members:
        return Measurement(item, sizes, digests, digests[0])
    lines = "".join(f"{digest}  {name}\n" for digest, name in zip(digests, item.members, strict=True))
    return Measurement(item, sizes, digests, hashlib.sha256(lines.encode()).hexdigest())


def place(measurement: Measurement) -> PurePosixPath:
    """Returns an item's place below a cluster's scratch folder. It follows from the digest, so that data already there
    are not sent again.

    The local name plays no part, or the same data would not be found under another name. A file keeps its suffix, by
    which HDF5 files are recognised.
    """
    item = measurement.item
    suffix = "" if item.members else item.path.suffix
    return layout.DATA / f"{measurement.digest[:32]}{suffix}" / f"{'files' if item.members else 'file'}{suffix}"


def _digest(path: Path) -> str:
    """Returns a file's digest, for a large file from the cache. If the cache cannot be read or written, say on a full
    disk, the file is read."""
    status = path.stat()
    if status.st_size < LARGE:
        return file_sha256(path)
    key = (str(path.resolve()), status.st_size, status.st_mtime_ns, status.st_ino)
    with contextlib.suppress(sqlite3.Error, OSError), _kept() as db:
        row = db.execute(
            "SELECT sha256 FROM digests WHERE path = ? AND size = ? AND mtime_ns = ? AND inode = ?", key
        ).fetchone()
        if row:
            return str(row[0])
    digest = file_sha256(path)
    with contextlib.suppress(sqlite3.Error, OSError), _kept() as db:
        db.execute("INSERT OR REPLACE INTO digests VALUES (?, ?, ?, ?, ?)", (*key, digest))
    return digest


@contextlib.contextmanager
def _kept() -> Iterator[sqlite3.Connection]:
    file = paths.private_file(paths.data_home() / "digests.db")
    with contextlib.closing(sqlite3.connect(file, timeout=30)) as db, db:
        db.execute("CREATE TABLE IF NOT EXISTS digests(path PRIMARY KEY, size, mtime_ns, inode, sha256)")
        yield db
