"""Writes new LMDB databases with LMDB's own library."""

import shutil
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import lmdb

from engine.data.partial_folder import PartialFolder
from engine.errors import DataError
from engine.units import short_size

COMMIT_EVERY = 1000
"""The most records in one transaction, as in Caffe's converters."""
COMMIT_BYTES = 1 << 25
"""The most bytes in one transaction, about: LMDB keeps uncommitted data in memory."""


class LMDBWriter:
    """Writes a new LMDB beside `path`, and renames it to `path` when the `with` block succeeds.

    settings: see PartialFolder. Without them a failed block leaves nothing behind; with them the committed records are
    kept, and the next writer continues from there: `entries` records up to `last_key`. A thread commits while the next
    records are added; its errors are raised by a later `put` or at the end. Keys may come in any order; an existing key
    gets the new value. Raises DataError if `path` exists already, and if it cannot be written.
    """

    _INITIAL_MAP = 1 << 24

    def __init__(self, path: Path, settings: dict[str, Any] | None = None) -> None:
        self.path, self._settings = path, settings
        self.entries = 0
        self.last_key: bytes | None = None
        self._waiting: list[tuple[bytes, bytes]] = []
        self._size = 0
        self._committing: Future[None] | None = None

    def __enter__(self) -> Self:
        self._partial = PartialFolder(self.path, self._settings)
        try:
            # A power cut loses what is not synced, and what a later writer continues from must not be lost.
            safe = self._settings is not None
            self._env = lmdb.open(str(self._partial.folder), map_size=self._map_size(), sync=safe, metasync=False)
        except (OSError, lmdb.Error) as e:
            damaged = isinstance(e, lmdb.InvalidError | lmdb.CorruptedError | lmdb.VersionMismatchError)
            self._partial.abandon(records=0 if damaged else 1)
            raise self._unwritten(e) from e
        self.entries = self._env.stat()["entries"]
        if self.entries:
            with self._env.begin() as txn, txn.cursor() as cursor:
                cursor.last()
                self.last_key = bytes(cursor.key())
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="commit")
        return self

    def put(self, key: bytes, value: bytes) -> None:
        """Adds a record; an existing key gets the new value. Raises DataError."""
        if not 0 < len(key) <= self._env.max_key_size():
            raise DataError(
                f"{self.path}: a key has {len(key)} bytes, {key[:50]!r}…; LMDB allows {self._env.max_key_size()}. "
                "Use shorter names, or a LevelDB (-backend leveldb)."
            )
        self._waiting.append((key, value))
        self._size += len(value)
        if len(self._waiting) >= COMMIT_EVERY or self._size >= COMMIT_BYTES:
            self._hand_over()

    def _hand_over(self) -> None:
        """Waits for the previous commit, and starts one of the waiting records."""
        self._finish_commit()
        self._committing = self._thread.submit(self._commit, self._waiting)
        self._waiting, self._size = [], 0

    def _finish_commit(self) -> None:
        committing, self._committing = self._committing, None
        if committing:
            committing.result()

    def _map_size(self) -> int:
        file = self._partial.folder / "data.mdb"
        return max(self._INITIAL_MAP, 2 * file.stat().st_size if file.exists() else 0)

    def _commit(self, records: list[tuple[bytes, bytes]]) -> None:
        while True:
            try:
                with self._env.begin(write=True) as txn:
                    for key, value in records:
                        txn.put(key, value)
                return
            except lmdb.MapFullError:
                self._env.set_mapsize(2 * self._env.info()["map_size"])
            except lmdb.Error as e:
                raise self._unwritten(e) from e

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        written, published = None, False
        try:
            if kind is None:
                self._hand_over()
                self._finish_commit()
                self._env.sync(True)
            written = self._close()
            if kind is None:
                self._partial.publish()
                published = True
        except (OSError, lmdb.Error) as e:
            raise self._unwritten(e) from e
        finally:
            if not published:
                self._partial.abandon(self._close() if written is None else written)

    def _close(self) -> int:
        """Closes the database. Returns the number of its records."""
        self._thread.shutdown()
        entries = self._env.stat()["entries"]
        self._env.close()
        return int(entries)

    def _unwritten(self, error: Exception) -> DataError:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        free = shutil.disk_usage(self.path.parent).free
        if free < 2 * COMMIT_BYTES:  # LMDB reports a full disk as an I/O error
            reason += f"; the disk has {short_size(free)} left"
        return DataError(f"{self.path}: cannot be written ({reason}).")
