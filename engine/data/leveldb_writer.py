"""Writes new LevelDB databases: sorted tables in the last level, and the manifest that names them.

Tables of the last level are never compacted, so whatever opens the database next, even LevelDB's own library, leaves
it as it is. The format: engine/data/leveldb.py.
"""

import json
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import cramjam

from engine.data.databases import name_key
from engine.data.leveldb import LIVE, LOG_BLOCK, MAGIC, masked_crc
from engine.data.partial_folder import PartialFolder
from engine.errors import DataError
from engine.host import atomic_file
from engine.proto.wire import varint

BLOCK = 1 << 16
"""Bytes of keys and values in a block, about, as in Caffe."""
TABLE = 1 << 25
"""Bytes of a table, about: the most that a process loses when it is stopped."""
LAST_LEVEL = 6
_RESTART = 16
"""One in so many keys of a block is written in full."""
_TABLES = "tables.json"


@dataclass(frozen=True)
class _Table:
    """A finished table. Keys are LevelDB's internal ones: the user's key, then 8 bytes of sequence number and kind."""

    number: int
    size: int
    smallest: bytes
    largest: bytes


class LevelDBWriter:
    """Writes a new LevelDB beside `path`, and renames it to `path` when the `with` block succeeds.

    settings: see PartialFolder. Without them a failed block leaves nothing behind; with them the finished tables are
    kept, and the next writer continues from there: `entries` records up to `last_key`. Raises DataError if `path`
    exists already, if it cannot be written, and for keys out of order.
    """

    def __init__(self, path: Path, settings: dict[str, Any] | None = None) -> None:
        self.path, self._settings = path, settings
        self.entries = 0
        self.last_key: bytes | None = None
        self._tables: list[_Table] = []
        self._finished = 0
        self._open: _TableFile | None = None

    def __enter__(self) -> Self:
        self._partial = PartialFolder(self.path, self._settings)
        try:
            if self._partial.found:
                self._resume()
        except BaseException:
            self._partial.abandon(self._finished)
            raise
        return self

    def put(self, key: bytes, value: bytes) -> None:
        """Adds a record, whose key must be larger than the one before. Raises DataError."""
        if self.last_key is not None and key <= self.last_key:
            raise DataError(
                f'{self.path}: "{name_key(key)}" comes after "{name_key(self.last_key)}", and a LevelDB must be '
                "written in the order of its keys. Write an LMDB instead."
            )
        with atomic_file.writing(self.path, DataError):
            if self._open is None:
                number = self._tables[-1].number + 1 if self._tables else 1
                self._open = _TableFile(self._partial.folder, number)
            self.entries += 1
            self.last_key = key
            self._open.add(key + (self.entries << 8 | LIVE).to_bytes(8, "little"), value)
            if self._open.size >= TABLE:
                self._end_table()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        published = False
        try:
            if kind is None:
                with atomic_file.writing(self.path, DataError):
                    self._end_table()
                    self._write_manifest()
                    (self._partial.folder / _TABLES).unlink(missing_ok=True)
                    self._partial.publish()
                    published = True
        finally:
            if not published:
                if self._open:
                    self._open.file.close()
                self._partial.abandon(self._finished)

    def _resume(self) -> None:
        """Continues from the tables that the previous process finished before it was stopped."""
        file = self._partial.folder / _TABLES
        if file.exists():
            progress = json.loads(file.read_text())
            self._finished = self.entries = progress["entries"]
            self._tables = [_Table(*row[:2], *map(bytes.fromhex, row[2:])) for row in progress["tables"]]
            self.last_key = self._tables[-1].largest[:-8]

    def _end_table(self) -> None:
        if self._open is None:
            return
        self._tables.append(self._open.end())
        self._open, self._finished = None, self.entries
        if self._settings is not None:
            rows = [[t.number, t.size, t.smallest.hex(), t.largest.hex()] for t in self._tables]
            text = json.dumps({"entries": self.entries, "tables": rows})
            atomic_file.replace(self._partial.folder / _TABLES, text.encode())

    def _write_manifest(self) -> None:
        """Writes the manifest, as one edit (doc/impl.md): order, logs, next file, last sequence number, tables."""
        number = self._tables[-1].number + 1 if self._tables else 1
        edit = bytearray(varint(1) + _sized(b"leveldb.BytewiseComparator"))
        for tag, value in ((2, 0), (9, 0), (3, number + 1), (4, self.entries)):
            edit += varint(tag) + varint(value)
        for table in self._tables:
            edit += b"".join(map(varint, (7, LAST_LEVEL, table.number, table.size)))
            edit += _sized(table.smallest) + _sized(table.largest)
        name = f"MANIFEST-{number:06}"
        atomic_file.replace(self._partial.folder / name, b"".join(_log(bytes(edit))))
        atomic_file.replace(self._partial.folder / "CURRENT", f"{name}\n".encode())


class _TableFile:
    """A table being written: blocks of sorted entries, and an index of them at the end."""

    def __init__(self, folder: Path, number: int) -> None:
        self.number = number
        self.file: BinaryIO = (folder / f"{number:06}.ldb").open("wb")
        self.size = 0
        self._block, self._index = _Block(_RESTART), _Block(1)
        self._smallest: bytes | None = None

    def add(self, key: bytes, value: bytes) -> None:
        self._smallest = self._smallest or key
        self._block.add(key, value)
        if self._block.size >= BLOCK:
            self._end_block()

    def end(self) -> _Table:
        self._end_block()
        largest = self._index.last
        filters = self._write(_Block(1).end())
        footer = filters + self._write(self._index.end())
        self.file.write(footer.ljust(40, b"\0") + struct.pack("<Q", MAGIC))
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()
        return _Table(self.number, self.size + 48, self._smallest or b"", largest)

    def _end_block(self) -> None:
        if self._block.size:
            last = self._block.last
            self._index.add(last, self._write(self._block.end()))
            self._block = _Block(_RESTART)

    def _write(self, data: bytes) -> bytes:
        """Writes a block, compressed if that saves more than an eighth. Returns its handle: its offset and its size."""
        packed = bytes(cramjam.snappy.compress_raw(data))
        kind = b"\1" if len(packed) < len(data) - len(data) // 8 else b"\0"
        data = (packed if kind == b"\1" else data) + kind
        handle = varint(self.size) + varint(len(data) - 1)
        self.file.write(data + struct.pack("<I", masked_crc(data)))
        self.size += len(data) + 4
        return handle


class _Block:
    """A block being written: each key omits the prefix that it shares with the one before, except one in `restart`."""

    def __init__(self, restart: int) -> None:
        self.last = b""
        self.size = 0
        self._restart, self._count = restart, 0
        self._parts: list[bytes] = []
        self._restarts: list[int] = []

    def add(self, key: bytes, value: bytes) -> None:
        shared = 0
        if self._count % self._restart:
            shared = _shared(self.last, key)
        else:
            self._restarts.append(self.size)
        head = varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:]
        self._parts += head, value
        self.size += len(head) + len(value)
        self.last = key
        self._count += 1

    def end(self) -> bytes:
        restarts = self._restarts or [0]
        return b"".join(self._parts) + struct.pack(f"<{len(restarts) + 1}I", *restarts, len(restarts))


def _shared(one: bytes, other: bytes) -> int:
    """The length of the common prefix of two keys."""
    shortest = min(len(one), len(other))
    return next((i for i in range(shortest) if one[i] != other[i]), shortest)


def _log(record: bytes) -> Iterator[bytes]:
    """A log of one record, in pieces that each lie within one block (doc/log_format.md)."""
    most = LOG_BLOCK - 7
    for at in range(0, len(record), most):
        piece = record[at : at + most]
        first, last = at == 0, at + most >= len(record)
        kind = bytes([1 if first and last else 2 if first else 4 if last else 3])
        yield struct.pack("<IH", masked_crc(kind + piece), len(piece)) + kind + piece


def _sized(data: bytes) -> bytes:
    return varint(len(data)) + data
