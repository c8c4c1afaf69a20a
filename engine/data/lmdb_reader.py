"""LMDB databases, read without LMDB's own library, page by page, each page checked before it is believed.

The library maps a database into memory and trusts it: a page that the file lacks ends the process with SIGBUS, a
damaged one with SIGABRT, or nothing ends it; and so do pages that another process writes to meanwhile, since a reader
without locks (on a read-only file system) cannot keep them. It also allows one opening a process, which a user's own
`lmdb.open` may need. What reading needs of the format is small; it is described in the library's mdb.c and lmdb.h:

    two meta pages, written in turn, of which the later counts → the root of a tree of pages → branches, whose nodes
    name pages → leaves, whose nodes are records → overflow pages, for values that a page has no room for.

What a transaction frees is written to by the second one behind it at the earliest, before that one is committed: what
was read of a tree is right if no more than one has been committed since that wrote the tree.
"""

import os
import struct
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import cast

from engine.data.databases import missing_key, name_key
from engine.errors import DataError
from engine.host import regular_file

MAGIC, VERSION = 0xBEEFC0DE, 1
NO_PAGE = 2**64 - 1

_HEADER = struct.Struct("<QHHHH")
"""A page: its number, padding, flags, and between which offsets its nodes' pointers end and its nodes begin."""
_OVERFLOW = struct.Struct("<QHHI")
"""The first of some overflow pages: its number, padding, flags, how many they are."""
_NODE = struct.Struct("<HHHH")
"""A node: size of the value, low and high, flags, size of the key. A branch's first three make a page's number."""
_META = struct.Struct("<16xII16x I44x 4xHHQQQQQ QQ")
"""Magic, version; page size; the tree's flags, depth, branches, leaves, overflow pages, entries, root; last page, and
the number of the transaction that wrote all that."""

_BRANCH, _LEAF, _OVER, _META_PAGE, _FIXED = 1, 2, 4, 8, 32
_KINDS = _BRANCH | _LEAF | _OVER | _META_PAGE | _FIXED
_NAMED, _DUPLICATES = 2, 4
_DEEPEST = 32


@dataclass(frozen=True)
class _Tree:
    """What a meta page says. order: flags for another order than that of the keys' bytes, or several values a key."""

    page_size: int
    order: int
    depth: int
    entries: int
    root: int
    last_page: int
    transaction: int


@dataclass(frozen=True)
class _Elsewhere:
    """A value that lies in overflow pages: the number of the first, and the value's size."""

    number: int
    size: int


_Record = tuple[bytes, bytes | _Elsewhere]
_KEY = itemgetter(0)

_RUN = 32
"""Leaves that follow one another in the file and are read at once: half the time of reading them one by one."""
_AHEAD = 1 << 20
"""Bytes of values in overflow pages that are read before it is asked whether the database has changed."""


class LMDB:
    """A folder with a data.mdb, on a file system that may be read-only. `entries`: how many records it has.

    Raises DataError for one that is missing, empty, cut short, damaged, written to meanwhile, or not an LMDB.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        file = path / "data.mdb"
        if not regular_file.is_file(file):
            raise DataError(f"{path}: {_found_instead(path)}")
        try:
            regular_file.check(file)
            self._file = file.open("rb", buffering=0)
        except OSError as e:
            raise DataError(f"{file}: cannot be read: {e.strerror}.") from e
        try:
            self._tree = self._read_tree(file)
        except BaseException:
            self.close()
            raise
        self.entries = self._tree.entries

    def records(self, after: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        """The (key, value) pairs behind the key `after`, which must be there; from the first on for None."""
        for records, whole in self._leaves(after):
            if whole:
                yield from cast("list[tuple[bytes, bytes]]", records)
            else:
                yield from self._fetched(records)

    def keys(self, after: bytes | None = None) -> Iterator[bytes]:
        """Their keys alone: values that lie in pages of their own are not read."""
        for records, _ in self._leaves(after):
            yield from map(_KEY, records)

    def spread(self, count: int) -> Iterator[tuple[bytes, bytes]]:
        """At most `count` pairs (2 or more), in order: the first, the last, and some between them, by the branches
        of the tree. A few pages are read for each, however many records there are."""
        last = b""
        for i in range(count if self.entries else 0):
            record = self._about(i / (count - 1))
            if record[0] > last:
                last = record[0]
                yield from self._fetched([record])

    def close(self) -> None:
        """Ends the reading."""
        self._file.close()

    # The meta pages

    def _read_tree(self, file: Path) -> _Tree:
        size = os.fstat(self._file.fileno()).st_size
        if not size:
            raise DataError(f"{file}: an empty file. Make it again.")
        first = self._meta(0)
        second = first and self._meta(first.page_size)
        if first is None or second is None:
            raise DataError(f"{file}: not an LMDB that can be read ({size:,} bytes). Make it again.")
        tree = first if first.transaction >= second.transaction else second
        needed = (tree.last_page + 1) * tree.page_size
        if size < needed:
            raise DataError(
                f"{file}: cut short: {size:,} bytes where its header counts {needed:,}. Copy it again or make it again."
            )
        if tree.order:
            raise DataError(f"{file}: its records are not sorted by the bytes of their keys, one value each.")
        if not tree.entries or tree.root == NO_PAGE:
            raise DataError(f"{self.path}: an LMDB without records. Make it again.")
        if not 0 < tree.depth <= _DEEPEST:
            raise self._damaged(f"its tree is {tree.depth} pages deep")
        return tree

    def _meta(self, at: int) -> _Tree | None:
        data = self._read(_META.size, at)
        if len(data) < _META.size:
            return None
        magic, version, page_size, order, depth, _, _, _, entries, root, last, transaction = _META.unpack(data)
        flags = _HEADER.unpack_from(data)[2]
        sized = 256 <= page_size <= 1 << 16 and not page_size & (page_size - 1)
        if magic != MAGIC or version != VERSION or not sized or flags & _KINDS != _META_PAGE:
            return None
        return _Tree(page_size, order & 0x7FFF, depth, entries, root, last, transaction)

    def _check_unchanged(self) -> None:
        for at in (0, self._tree.page_size):
            found = self._read(8, at + _META.size - 8)
            if len(found) < 8 or int.from_bytes(found, "little") > self._tree.transaction + 1:
                raise DataError(
                    f"{self.path}: was written to while it is read. End what writes, or give the net a copy of it."
                )

    # The tree

    def _leaves(self, after: bytes | None) -> Iterator[tuple[list[_Record], bool]]:
        """The records of each leaf, those behind `after`, and whether all their values are there."""
        size, seen, last = self._tree.page_size, 0, after or b""
        for first, count in self._runs(self._tree.root, 1, after):
            run = self._whole(first, count * size)
            for i in range(count):
                records, whole = self._leaf(run, i * size, first + i)
                if after is not None and not seen:
                    behind = bisect_left(records, after, key=_KEY)
                    if behind == len(records) or records[behind][0] != after:
                        raise missing_key(self.path, after)
                    del records[: behind + 1]
                    seen = behind + 1
                seen += len(records)
                for key, _ in records:
                    if key <= last:
                        raise self._damaged("its keys are not in order", last)
                    last = key
                yield records, whole
        if seen != self.entries and after is None:
            raise self._damaged(f"{seen:,} records are there, and its header counts {self.entries:,}")

    def _about(self, place: float) -> _Record:
        """The record at about `place` of all, from 0 for the first to 1 for the last."""
        number, size = self._tree.root, self._tree.page_size
        for _ in range(1, self._tree.depth):
            below = self._branch(number, None)
            way = min(int(place * len(below)), len(below) - 1)
            number, place = below[way], place * len(below) - way
        records, _ = self._leaf(self._whole(number, size), 0, number)
        return records[min(int(place * len(records)), len(records) - 1)]

    def _runs(self, number: int, level: int, after: bytes | None) -> Iterator[tuple[int, int]]:
        """The leaves below a page, from that on which `after` belongs to: the number of a leaf, and how many follow one
        another from it on. A database that was written in the order of its keys has long runs."""
        if level == self._tree.depth:
            yield number, 1
            return
        below = self._branch(number, after)
        if level + 1 < self._tree.depth:
            for page in below:
                yield from self._runs(page, level + 1, after)
                after = None
            return
        first, count = below[0], 1
        for page in below[1:]:
            if page == first + count and count < _RUN:
                count += 1
            else:
                yield first, count
                first, count = page, 1
        yield first, count

    def _branch(self, number: int, after: bytes | None) -> list[int]:
        """The pages below a branch, from that on which `after` belongs to."""
        page = self._whole(number, self._tree.page_size)
        try:
            nodes = [(*_NODE.unpack_from(page, at), at + _NODE.size) for at in self._pointers(page, 0, number, _BRANCH)]
        except struct.error as e:
            raise self._damaged("a record begins beyond its page") from e
        first = 0
        if after is not None:  # the first key of a branch is not there: it is less than all
            first = bisect_right([page[at : at + size] for _, _, _, size, at in nodes[1:]], after)
        return [low | high << 16 | flags << 32 for low, high, flags, _, _ in nodes[first:]]

    def _leaf(self, run: bytes, start: int, number: int) -> tuple[list[_Record], bool]:
        """The records of the page that begins at `start` of a run, and whether all their values are in it."""
        records: list[_Record] = []
        end, whole, node, head = start + self._tree.page_size, True, _NODE.unpack_from, _NODE.size
        try:
            for pointer in self._pointers(run, start, number, _LEAF):
                low, high, flags, key_size = node(run, start + pointer)
                key = start + pointer + head
                at = key + key_size
                behind = at + (low | high << 16)
                if flags:
                    if flags & (_NAMED | _DUPLICATES):
                        raise DataError(f"{self.path}: holds databases with names, and a net reads one that has none.")
                    whole = False
                    records.append((run[key:at], _Elsewhere(struct.unpack_from("<Q", run, at)[0], behind - at)))
                    behind = at + 8
                else:
                    records.append((run[key:at], run[at:behind]))
                if behind > end:
                    raise self._damaged("a record goes beyond its page")
        except struct.error as e:
            raise self._damaged("a record begins beyond its page") from e
        return records, whole

    def _pointers(self, data: bytes, start: int, number: int, kind: int) -> tuple[int, ...]:
        """Where the nodes of the page begin that lies at `start` of some data."""
        size = self._tree.page_size
        found, _, flags, lower, upper = _HEADER.unpack_from(data, start)
        if found != number or flags & _KINDS != kind or not _HEADER.size < lower <= upper <= size:
            raise self._damaged(f"page {number:,} is not what it should be")
        return struct.unpack_from(f"<{(lower - _HEADER.size) // 2}H", data, start + _HEADER.size)

    def _fetched(self, records: list[_Record]) -> Iterator[tuple[bytes, bytes]]:
        """The records with the values that lie elsewhere, read some at a time: what was read is right if the database
        has not changed by then."""
        read: list[tuple[bytes, bytes]] = []
        size = 0
        for key, value in records:
            if isinstance(value, _Elsewhere):
                size += value.size
            read.append((key, self._overflow(key, value) if isinstance(value, _Elsewhere) else value))
            if size >= _AHEAD:
                self._check_unchanged()
                yield from read
                read, size = [], 0
        self._check_unchanged()
        yield from read

    def _overflow(self, key: bytes, value: _Elsewhere) -> bytes:
        data = self._within(value.number, _OVERFLOW.size + value.size)
        found, _, flags, pages = _OVERFLOW.unpack_from(data) if len(data) >= _OVERFLOW.size else (-1, 0, 0, 0)
        room = pages * self._tree.page_size
        if found != value.number or flags & _KINDS != _OVER or not _OVERFLOW.size + value.size <= min(room, len(data)):
            self._check_unchanged()
            raise self._damaged(
                f'page {value.number:,}, with the value of record "{name_key(key)}", is not what it should be'
            )
        return data[_OVERFLOW.size :]

    def _whole(self, number: int, size: int) -> bytes:
        """`size` bytes from the beginning of a page on, as they were when the database was opened."""
        data = self._within(number, size)
        self._check_unchanged()
        if len(data) < size:
            raise self._damaged("it was cut short while it was read")
        return data

    def _within(self, number: int, size: int) -> bytes:
        offset = number * self._tree.page_size
        if offset + size > (self._tree.last_page + 1) * self._tree.page_size:
            raise self._damaged(f"it names page {number:,} of {self._tree.last_page + 1:,}")
        return self._read(size, offset)

    def _read(self, size: int, at: int) -> bytes:
        try:
            return os.pread(self._file.fileno(), size, at)
        except (OSError, OverflowError) as e:
            raise DataError(f"{self.path}: cannot be read: {e}.") from e

    def _damaged(self, what: str, behind: bytes = b"") -> DataError:
        where = f' behind record "{name_key(behind)}"' if behind else ""
        return DataError(f"{self.path}: damaged{where} ({what}). Copy it again or make it again.")


def _found_instead(path: Path) -> str:
    if not regular_file.exists(path):
        return "no such folder. Make the database first, or correct its name."
    if not path.is_dir():
        return "a file, where a database is a folder: an LMDB with a data.mdb in it, or a LevelDB."
    names = sorted(p.name for p in path.iterdir())
    if "CURRENT" in names:
        return "a LevelDB, not an LMDB. Say `backend: LEVELDB` in data_param."
    if not names:
        return "an empty folder, where an LMDB has a data.mdb. Make the database again."
    shown = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
    return f"not an LMDB: there is no data.mdb among {shown}"
