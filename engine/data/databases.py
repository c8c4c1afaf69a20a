"""Key-value databases of records, as Caffe reads and writes them: read in the order of their keys, written once.

A database never runs code of its maker: records are bytes.
"""

import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar
from weakref import WeakValueDictionary

import lmdb

from engine.errors import DataError
from engine.host import atomic_file

Read = TypeVar("Read")

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


class LMDB:
    """A folder with a data.mdb, read without locks, so that it may lie on a read-only file system.

    Nobody may write to it meanwhile: without locks a writer cannot know that its old pages are still read.
    Raises DataError for a folder that is missing, empty, cut short, or not an LMDB.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        file = path / "data.mdb"
        if not file.is_file():
            raise DataError(f"{path}: {_found_instead(path)}")
        try:
            self._env = _environment(file)
        except (lmdb.Error, OSError) as e:
            size = file.stat().st_size
            found = f"not an LMDB that can be read ({_reason(e)}; {size:,} bytes)" if size else "an empty file"
            raise DataError(f"{file}: {found}. Make it again.") from e
        self.entries: int = self._env.stat()["entries"]
        try:
            self._check_length(file)
        except DataError:
            self.close()
            raise

    def _check_length(self, file: Path) -> None:
        # LMDB maps the file into memory: a page that the file lacks would end the process with SIGBUS.
        needed = (self._env.info()["last_pgno"] + 1) * self._env.stat()["psize"]
        found = file.stat().st_size
        if found < needed:
            raise DataError(
                f"{file}: cut short: {found:,} bytes where its header counts {needed:,}. "
                "Copy it again or make it again."
            )
        if not self.entries:
            raise DataError(f"{self.path}: an LMDB without records. Make it again.")

    def records(self, after: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        return self._walk(after, lambda cursor: cursor.iternext())

    def keys(self, after: bytes | None = None) -> Iterator[bytes]:
        return self._walk(after, lambda cursor: cursor.iternext(values=False))

    def _walk(self, after: bytes | None, rest: Callable[[Any], Iterator[Read]]) -> Iterator[Read]:
        try:
            with self._env.begin() as txn, txn.cursor() as cursor:
                if after is not None:
                    if not cursor.set_key(after):
                        raise missing_key(self.path, after)
                    if not cursor.next():
                        return
                yield from rest(cursor)
        except lmdb.Error as e:
            raise DataError(f"{self.path}: damaged ({_reason(e)}). Copy it again or make it again.") from e

    def close(self) -> None:
        del self._env  # the last reader of the environment closes it


_environments: WeakValueDictionary[tuple[int, int], lmdb.Environment] = WeakValueDictionary()
_opening = threading.Lock()


def _environment(file: Path) -> lmdb.Environment:
    """The file's environment: LMDB allows one a process, so that nets which read the same database share it."""
    with _opening:
        stat = file.stat()
        identity = (stat.st_dev, stat.st_ino)
        found = _environments.get(identity)
        if found is None:
            found = lmdb.open(str(file.parent), readonly=True, lock=False, create=False)
            _environments[identity] = found
        return found


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
        try:
            self._folder = Path(tempfile.mkdtemp(prefix=f".{self.path.name}.", dir=self.path.parent))
        except OSError as e:
            raise DataError(f"{self.path.parent}: cannot be written: {e.strerror}.") from e
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


def _found_instead(path: Path) -> str:
    if not path.exists():
        return "no such folder. Make the database first, or correct `source`."
    if not path.is_dir():
        return "a file, where an LMDB is a folder with a data.mdb in it."
    names = sorted(p.name for p in path.iterdir())
    if "CURRENT" in names:
        return "a LevelDB, not an LMDB. Say `backend: LEVELDB` in data_param."
    if not names:
        return "an empty folder, where an LMDB has a data.mdb. Make the database again."
    shown = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
    return f"not an LMDB: there is no data.mdb among {shown}"
