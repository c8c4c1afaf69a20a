"""Key-value databases of records, as Caffe reads and writes them: read in the order of their keys, written once.

A database never runs code of its maker: records are bytes.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import lmdb

from engine.errors import DataError
from engine.host import atomic_file

COMMIT_EVERY = 1000
"""Records in one transaction, as in Caffe's converters."""


class Database(Protocol):
    """Records sorted by key. `path` is for messages."""

    path: Path

    def records(self, after: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        """The (key, value) pairs behind the key `after`, which must be there; from the first on for None."""

    def keys(self, after: bytes | None = None) -> Iterator[bytes]:
        """Their keys alone: the values are not read."""

    def close(self) -> None: ...


class LMDBWriter:
    """Writes a new LMDB beside `path`, and renames it to `path` when the `with` block ends well.

    Otherwise nothing is left. Raises DataError if `path` is there already, and where it cannot be written.
    """

    _INITIAL_MAP = 1 << 24

    def __init__(self, path: Path) -> None:
        self.path = path
        self._waiting: list[tuple[bytes, bytes]] = []

    def __enter__(self) -> Self:
        if self.path.exists() or self.path.is_symlink():
            raise DataError(f"{self.path}: is there already. Remove it first, or give another name.")
        with atomic_file.writing(self.path.parent, DataError):
            self._folder = Path(tempfile.mkdtemp(prefix=f".{self.path.name}.", dir=self.path.parent))
        self._env = lmdb.open(str(self._folder), map_size=self._INITIAL_MAP, sync=False, metasync=False)
        return self

    def put(self, key: bytes, value: bytes) -> None:
        """Adds a record; a key that is there already gets the new value."""
        self._waiting.append((key, value))
        if len(self._waiting) >= COMMIT_EVERY:
            self._commit()

    def _commit(self) -> None:
        while True:
            try:
                with self._env.begin(write=True) as txn:
                    for key, value in self._waiting:
                        txn.put(key, value)
                break
            except lmdb.MapFullError:
                self._env.set_mapsize(2 * self._env.info()["map_size"])
            except lmdb.Error as e:
                raise DataError(f"{self.path}: cannot be written ({_reason(e)}).") from e
        self._waiting.clear()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._commit()
                self._env.sync(True)
            self._env.close()
            if kind is None:
                self._publish()
        except (OSError, lmdb.Error) as e:
            raise DataError(f"{self.path}: cannot be written ({_reason(e)}).") from e
        finally:
            self._env.close()
            shutil.rmtree(self._folder, ignore_errors=True)

    def _publish(self) -> None:
        umask = os.umask(0)
        os.umask(umask)
        self._folder.chmod(0o777 & ~umask)
        if self.path.exists():
            raise DataError(f"{self.path}: another process made it meanwhile; its version stays.")
        self._folder.rename(self.path)
        atomic_file.sync_folder(self.path.parent)


def missing_key(path: Path, key: bytes) -> DataError:
    """The error for a position that the database does not have."""
    return DataError(
        f'{path}: has no record "{name_key(key)}", where reading stopped. It is another database than the one of the '
        "snapshot: bring that one back, or start without its data position."
    )


def name_key(key: bytes) -> str:
    """A key as messages show it."""
    return key.decode("utf-8", "backslashreplace")


def _reason(error: Exception) -> str:
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)
