"""Reads LevelDB databases without ever writing: no lock, no log, no compaction, so a read-only folder will do.

LevelDB's own library changes a database whenever it opens one, and its Python bindings lag behind Python. Reading needs
little of the format, which LevelDB's doc/impl.md, doc/log_format.md and doc/table_format.md describe:

    CURRENT → the manifest, a log of edits → the tables of each level, and the logs not yet made into tables;
    a table → its index → blocks of sorted entries; a newer entry of a key hides the older ones.

Every record of a log and every block has a checksum. LevelDB verifies them only on request; here all are verified.
"""

import heapq
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cramjam

from engine.data.databases import missing_key
from engine.errors import DataError
from engine.host import regular_file

MAGIC = 0xDB4775248B80FB57
LOG_BLOCK = 32768
DELETED, LIVE = 0, 1
_HEAD = 7
"""Bytes of the header of a log's piece: its checksum, its length, its kind."""

_DAMAGE = (struct.error, IndexError, ValueError, OSError, cramjam.DecompressionError)
_MOST_PACKED = 32
"""The most bytes that Snappy expands one byte to: it encodes copies of 64 bytes in 3."""
_NAME = 64
"""The most bytes of CURRENT, which holds MANIFEST- and a number."""

Entry = tuple[bytes, int, bytes]
"""User key; −(sequence number · 256 + kind), so that the newest sorts first; value."""


@dataclass(frozen=True)
class _Table:
    path: Path
    size: int
    smallest: bytes
    largest: bytes


@dataclass
class _Version:
    """The manifest's contents: tables by (level, number), and the first log whose entries are not in them."""

    tables: dict[tuple[int, int], _Table] = field(default_factory=dict)
    log: int = 0
    previous_log: int = 0


class LevelDB:
    """A LevelDB: a folder with CURRENT, a manifest, tables and logs. No process may write to it meanwhile.

    Raises DataError for a folder that is missing, damaged, empty, incomplete, or not a LevelDB.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not regular_file.is_file(path / "CURRENT"):
            raise DataError(f"{path}: {_found_instead(path)}")
        try:
            self._version = self._read_manifest()
            self._recent = self._read_logs()
        except _DAMAGE as e:
            raise self._damaged(e) from e
        if next(self.records(), None) is None:
            raise DataError(f"{path}: a LevelDB without records. Make it again.")

    def records(self, after: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        """The (key, value) pairs after the key `after`, which must exist; all of them for None."""
        try:
            live = _newest(heapq.merge(*self._runs(after or b"")))
            if after is not None and next(live, (None,))[0] != after:
                raise missing_key(self.path, after)
            yield from live
        except _DAMAGE as e:
            raise self._damaged(e) from e

    def keys(self, after: bytes | None = None) -> Iterator[bytes]:
        """The keys that `records` would yield. Values are read too, since a table's blocks hold both."""
        return (key for key, _ in self.records(after))

    def close(self) -> None:
        """Nothing is held open between records."""

    def _runs(self, start: bytes) -> Iterator[Iterable[Entry]]:
        """Sorted runs that together hold every entry from `start` on. Only tables of level 0 overlap."""
        yield [entry for entry in self._recent if entry[0] >= start]
        tables = sorted(self._version.tables.items(), key=lambda item: (item[0][0], item[1].smallest))
        for (level, _), table in tables:
            if level == 0:
                yield _entries(table, start)
        for level in sorted({level for level, _ in self._version.tables} - {0}):
            run = [table for (at, _), table in tables if at == level and table.largest >= start]
            yield (entry for table in run for entry in _entries(table, start))

    def _read_manifest(self) -> _Version:
        name = regular_file.read(self.path / "CURRENT", _NAME).decode(errors="replace").strip()
        if not name.startswith("MANIFEST-") or "/" in name or not (self.path / name).is_file():
            raise DataError(f'{self.path}: CURRENT names "{name}", which is not there. Copy the folder again.')
        version = _Version()
        for edit in _log_records(regular_file.read(self.path / name), name, whole=True):
            self._apply(_Reader(edit), version)
        for table in version.tables.values():
            size = table.path.stat().st_size if table.path.is_file() else None
            if size != table.size:
                is_ = "missing" if size is None else f"{size:,} bytes where the manifest says {table.size:,}"
                raise DataError(f"{table.path}: {is_}. Copy the folder again, or make it again.")
        return version

    def _apply(self, edit: "_Reader", version: _Version) -> None:
        while edit:
            match edit.varint():
                case 1:
                    if (order := edit.bytes()) != b"leveldb.BytewiseComparator":
                        raise DataError(f"{self.path}: sorted by {order.decode(errors='replace')}, not by bytes.")
                case 2:
                    version.log = edit.varint()
                case 9:
                    version.previous_log = edit.varint()
                case 3 | 4:  # the next file's number, the last sequence number: only needed for writing
                    edit.varint()
                case 5:  # how far compaction got: only needed for writing
                    edit.varint(), edit.bytes()
                case 6:
                    version.tables.pop((edit.varint(), edit.varint()), None)
                case 7:
                    level, number, size = edit.varint(), edit.varint(), edit.varint()
                    smallest, largest = edit.bytes()[:-8], edit.bytes()[:-8]
                    version.tables[level, number] = _Table(self._table(number), size, smallest, largest)
                case tag:
                    raise ValueError(f"unknown tag {tag} in the manifest")

    def _table(self, number: int) -> Path:
        old = self.path / f"{number:06}.sst"
        return old if old.exists() else self.path / f"{number:06}.ldb"

    def _read_logs(self) -> list[Entry]:
        """The latest entries, which are in no table yet, sorted."""
        logs = {int(p.stem): p for p in self.path.glob("*.log") if p.stem.isdecimal()}
        entries: list[Entry] = []
        for number in sorted(logs):
            if number >= self._version.log or number == self._version.previous_log:
                for batch in _log_records(regular_file.read(logs[number]), logs[number].name):
                    entries.extend(_batch(batch))
        return sorted(entries)

    def _damaged(self, error: Exception) -> DataError:
        return DataError(f"{self.path}: damaged ({error}). Copy it again or make it again.")


class _Reader:
    """Takes numbers and strings off the front of some bytes. It is false at the end; raises IndexError beyond it."""

    def __init__(self, data: bytes, at: int = 0) -> None:
        self.data, self.at = data, at

    def __bool__(self) -> bool:
        return self.at < len(self.data)

    def varint(self) -> int:
        value = shift = 0
        while True:
            byte = self.data[self.at]
            self.at += 1
            if shift > 63:
                raise ValueError("a number of more than 64 bits")
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7

    def take(self, size: int) -> bytes:
        self.at += size
        if self.at > len(self.data):
            raise IndexError("cut short")
        return self.data[self.at - size : self.at]

    def bytes(self) -> bytes:
        return self.take(self.varint())


def masked_crc(data: bytes) -> int:
    """The checksum that LevelDB stores for some bytes: CRC-32C, masked, since the bytes may contain checksums too."""
    import google_crc32c  # noqa: PLC0415  not needed by those who read no LevelDB

    crc: int = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _log_records(data: bytes, name: str, *, whole: bool = False) -> Iterator[bytes]:
    """The records of the log `name`, joined from their pieces.

    A truncated record at the end was never committed: it is left out, or an error if the log must be `whole`.
    """
    parts: list[bytes] = []
    for kind, piece in _log_pieces(data, name, whole):
        begins = kind in (1, 2)
        if begins == bool(parts):
            raise ValueError(f"{name} has a record without its {'end' if begins else 'beginning'}")
        parts.append(piece)
        if kind in (1, 4):
            yield b"".join(parts)
            parts = []
    if whole and parts:
        raise ValueError(f"{name} is cut short")


def _log_pieces(data: bytes, name: str, whole: bool) -> Iterator[tuple[int, bytes]]:
    """The (kind, contents) of a log's pieces: 1 a whole record, 2 its beginning, 3 its middle, 4 its end.

    A piece consists of its checksum, length, kind and contents, and lies within one block. One truncated by the end of
    the file is left out, or an error if the log must be `whole`.
    """
    at = 0
    while at + _HEAD <= len(data):
        room = LOG_BLOCK - at % LOG_BLOCK
        if room < _HEAD:
            at += room
            continue
        crc, length, kind = struct.unpack_from("<IHB", data, at)
        if crc == length == kind == 0 and not any(data[at : at + room]):  # preallocated, and not written yet
            at += room
            continue
        end = at + _HEAD + length
        if end > len(data) and length <= room - _HEAD and not _goes_on(data, at):
            break
        if end > len(data) or not 1 <= kind <= 4 or masked_crc(data[at + _HEAD - 1 : end]) != crc:
            raise ValueError(f"{name}: the data at byte {at:,} does not match its checksum")
        yield kind, data[at + _HEAD : end]
        at = end
    if whole and any(data[at:]):
        raise ValueError(f"{name} is cut short")


def _goes_on(data: bytes, at: int) -> bool:
    """Whether a piece that seems truncated only has a damaged length: it ends with the file, or more pieces follow."""

    def fits(start: int, end: int) -> bool:
        (crc,) = struct.unpack_from("<I", data, start)
        return end <= len(data) and masked_crc(data[start + _HEAD - 1 : end]) == crc

    return fits(at, len(data)) or any(
        fits(start, start + _HEAD + int.from_bytes(data[start + 4 : start + 6], "little"))
        for start in range(at + _HEAD, len(data) - _HEAD)
    )


def _batch(data: bytes) -> Iterator[Entry]:
    """The entries of a write batch."""
    sequence, count = struct.unpack_from("<QI", data)
    reader = _Reader(data, 12)
    for number in range(sequence, sequence + count):
        kind = reader.take(1)[0]
        if kind not in (DELETED, LIVE):
            raise ValueError(f"an entry of kind {kind}")
        key = reader.bytes()
        yield key, -(number << 8 | kind), reader.bytes() if kind == LIVE else b""


def _entries(table: _Table, start: bytes) -> Iterator[Entry]:
    """The entries of a table from the key `start` on, sorted."""
    with table.path.open("rb") as file:

        def block(handle: _Reader) -> bytes:
            offset, size = handle.varint(), handle.varint()
            if offset + size + 5 > table.size:
                raise IndexError(f"{table.path.name} is cut short")
            file.seek(offset)
            data = file.read(size + 1)
            if masked_crc(data) != int.from_bytes(file.read(4), "little"):
                raise ValueError(f"{table.path.name}: the block at byte {offset:,} does not match its checksum")
            return _unpacked(data[:size], data[size])

        file.seek(-48, 2)
        footer = _Reader(file.read(48))
        if struct.unpack_from("<Q", footer.data, 40)[0] != MAGIC:
            raise ValueError(f"{table.path.name} is not a table")
        footer.varint(), footer.varint()  # the index of filters
        before: tuple[bytes, int] = (b"", -(1 << 64))
        for last, handle in _pairs(block(footer)):
            if last[:-8] < start:
                continue
            for key, value in _pairs(block(_Reader(handle))):
                place = key[:-8], -int.from_bytes(key[-8:], "little")
                if len(key) < 8 or place <= before:
                    raise ValueError(f"the keys of {table.path.name} are not in order")
                before = place
                if place[0] >= start:
                    yield *place, value


def _unpacked(data: bytes, kind: int) -> bytes:
    """The contents of a block, whose `kind` is the byte after it: 0 for plain, 1 for compressed by Snappy."""
    if kind not in (0, 1):
        raise ValueError(f"a block has compression {kind}, which LevelDB does not define")
    if kind == 0:
        return data
    if (size := cramjam.snappy.decompress_raw_len(data)) > _MOST_PACKED * len(data):
        raise ValueError(f"a block of {len(data):,} bytes claims to unpack to {size:,}")
    return bytes(cramjam.snappy.decompress_raw(data))


def _pairs(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The keys and values of a block, in which each key omits the prefix that it shares with the one before."""
    restarts = int.from_bytes(block[-4:], "little")
    if 4 * (restarts + 1) > len(block):
        raise ValueError("a block has no end")
    reader = _Reader(block[: len(block) - 4 * (restarts + 1)])
    key = b""
    while reader:
        shared, own, size = reader.varint(), reader.varint(), reader.varint()
        if shared > len(key):
            raise ValueError("a key shares more than the length of the one before")
        key = key[:shared] + reader.take(own)
        yield key, reader.take(size)


def _newest(entries: Iterable[Entry]) -> Iterator[tuple[bytes, bytes]]:
    """The newest entry of each key, except keys whose newest entry marks them deleted."""
    previous = None
    for key, tag, value in entries:
        if key != previous and -tag & 0xFF == LIVE:
            yield key, value
        previous = key


def _found_instead(path: Path) -> str:
    """What `path` is instead of a LevelDB, and what to do about it, for a message."""
    if not regular_file.exists(path):
        return "no such folder. Make the database first, or correct its name."
    if not path.is_dir():
        return "a file, where a LevelDB is a folder with CURRENT and a manifest in it."
    if regular_file.exists(path / "data.mdb"):
        return "an LMDB, not a LevelDB. Say `backend: LMDB` in data_param."
    return "not a LevelDB: it has no file CURRENT."
