"""LMDB databases, written once, by LMDB's own library."""

from pathlib import Path
from types import TracebackType
from typing import Any, Self

import lmdb

from engine.data.partial_folder import PartialFolder
from engine.errors import DataError

COMMIT_EVERY = 1000
"""Records in one transaction at most, as in Caffe's converters."""
COMMIT_BYTES = 1 << 26
"""Bytes in one transaction, about, at most: LMDB keeps in memory what is not committed."""


class LMDBWriter:
    """Writes a new LMDB beside `path`, and renames it to `path` when the `with` block ends well.

    settings: see PartialFolder. Without them nothing is left of a block that ends otherwise; with them what was
    committed is left and gone on with: `entries` records up to `last_key`. Keys may come in any order; one that is
    there already gets the new value. Raises DataError if `path` is there already, and where it cannot be written.
    """

    _INITIAL_MAP = 1 << 24

    def __init__(self, path: Path, settings: dict[str, Any] | None = None) -> None:
        self.path, self._settings = path, settings
        self.entries = 0
        self.last_key: bytes | None = None
        self._waiting: list[tuple[bytes, bytes]] = []
        self._size = 0

    def __enter__(self) -> Self:
        self._partial = PartialFolder(self.path, self._settings)
        try:
            # A power cut takes what is not synced: what is gone on with must be.
            safe = self._settings is not None
            self._env = lmdb.open(str(self._partial.folder), map_size=self._map_size(), sync=safe, metasync=False)
        except (OSError, lmdb.Error) as e:
            self._partial.remove()
            raise self._unwritten(e) from e
        self.entries = self._env.stat()["entries"]
        if self.entries:
            with self._env.begin() as txn, txn.cursor() as cursor:
                cursor.last()
                self.last_key = bytes(cursor.key())
        return self

    def put(self, key: bytes, value: bytes) -> None:
        """Adds a record; a key that is there already gets the new value."""
        self._waiting.append((key, value))
        self._size += len(value)
        if len(self._waiting) >= COMMIT_EVERY or self._size >= COMMIT_BYTES:
            self._commit()

    def _map_size(self) -> int:
        file = self._partial.folder / "data.mdb"
        return max(self._INITIAL_MAP, 2 * file.stat().st_size if file.exists() else 0)

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
                raise self._unwritten(e) from e
        self._waiting.clear()
        self._size = 0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        done = False
        try:
            if kind is None:
                self._commit()
                self._env.sync(True)
            written = self._env.stat()["entries"]
            self._env.close()
            if kind is None:
                self._partial.publish()
                done = True
        except (OSError, lmdb.Error) as e:
            raise self._unwritten(e) from e
        finally:
            self._env.close()
            if not done:
                self._partial.abandon(written)

    def _unwritten(self, error: Exception) -> DataError:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return DataError(f"{self.path}: cannot be written ({reason}).")
