"""Reads LMDB databases without LMDB's own library, page by page, and checks each page before using it.

The library maps a database into memory and trusts it: a page that is missing from the file ends the process with
SIGBUS, and a damaged one with SIGABRT or an endless loop. So do pages that another process writes to meanwhile, since a
reader without locks (on a read-only file system) cannot protect them. It also allows a process to open a database only
once, which a user's own `lmdb.open` may need. Reading needs little of the format, which the library's mdb.c and lmdb.h
describe:

    two meta pages, written in turn, of which the later counts → the root of a tree of pages → branches, whose nodes
    name pages → leaves, whose nodes are records → overflow pages, for values too large for a page.

Pages freed by a transaction are reused by the second transaction after it at the earliest, and written before that one
is committed. So what was read of a tree is valid if at most one transaction has been committed since the one that
wrote the tree.
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
"""A page header: its number, padding, flags, the offset where its pointers to nodes end, and where its nodes begin."""
_OVERFLOW = struct.Struct("<QHHI")
"""The header of a run of overflow pages: the first one's number, padding, flags, how many there are."""
_POINTER = 2
"""Bytes of a pointer to a node."""
_NODE = struct.Struct("<HHHH")
"""A node header: the value's size, low and high; flags; the key's size. A branch's first three are a page number."""
_META = struct.Struct("<16xII16x I44x 4xHHQQQQQ QQ")
"""A meta page: magic, version; page size; the tree's flags, depth, branches, leaves, overflow pages, entries, root; the
last page; the number of the transaction that wrote it."""

_BRANCH, _LEAF, _OVER, _META_PAGE, _FIXED = 1, 2, 4, 8, 32
_KINDS = _BRANCH | _LEAF | _OVER | _META_PAGE | _FIXED
_NAMED, _DUPLICATES = 2, 4
_DEEPEST = 32


@dataclass(frozen=True)
class _Tree:
    """A meta page's contents. order: flags, set if keys are not sorted by their bytes or have several values."""

    page_size: int
    order: int
    depth: int
    entries: int
    root: int
    last_page: int
    transaction: int


@dataclass(frozen=True)
class _Elsewhere:
    """A value stored in overflow pages: the number of the first page, and the value's size."""

    number: int
    size: int


_Record = tuple[bytes, bytes | _Elsewhere]
_KEY = itemgetter(0)

_RUN = 32
"""How many consecutive leaves are read at once at most: takes half the time of reading them one by one."""
_AHEAD = 1 << 20
"""Bytes of values in overflow pages that are read between checks whether the database has changed."""


class LMDB:
    """An LMDB: a folder with a data.mdb, on a file system that may be read-only. `entries`: the number of records.

    Raises DataError if it is missing, empty, truncated, damaged, not an LMDB, or written to meanwhile.
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
        """The (key, value) pairs after the key `after`, which must exist; all of them for None."""
        for records, complete in self._leaves(after):
            if complete:
                yield from cast("list[tuple[bytes, bytes]]", records)
            else:
                yield from self._fetched(records)

    def keys(self, after: bytes | None = None) -> Iterator[bytes]:
        """The keys that `records` would yield; values in overflow pages are not read."""
        for records, _ in self._leaves(after):
            yield from map(_KEY, records)

    def spread(self, count: int) -> Iterator[tuple[bytes, bytes]]:
        """At most `count` pairs (2 or more), in order: the first, the last, and some between them, found through the
        branches of the tree. Only a few pages are read for each, however many records there are."""
        last = b""
        for i in range(count if self.entries else 0):
            record = self._about(i / (count - 1))
            if record[0] > last:
                last = record[0]
                yield from self._fetched([record])

    def close(self) -> None:
        """Closes the file."""
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
            raise DataError(f"{file}: its records must be sorted by the bytes of their keys, with one value each.")
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
            data = self._read(8, at + _META.size - 8)
            if len(data) < 8 or int.from_bytes(data, "little") > self._tree.transaction + 1:
                raise DataError(
                    f"{self.path}: was written to while it was read. Stop what writes to it, or give the net a copy."
                )

    # The tree

    def _leaves(self, after: bytes | None) -> Iterator[tuple[list[_Record], bool]]:
        """The records of each leaf, starting after the key `after`, and whether all their values are included."""
        size, seen, last = self._tree.page_size, 0, after or b""
        for first, count in self._runs(self._tree.root, 1, after):
            run = self._whole(first, count * size)
            for i in range(count):
                records, complete = self._leaf(run, i * size, first + i)
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
                yield records, complete
        if seen != self.entries and after is None:
            raise self._damaged(f"{seen:,} records are there, and its header counts {self.entries:,}")

    def _about(self, place: float) -> _Record:
        """The record at about the fraction `place` of all: 0 is the first, 1 the last."""
        number, size = self._tree.root, self._tree.page_size
        for _ in range(1, self._tree.depth):
            below = self._branch(number, None)
            way = min(int(place * len(below)), len(below) - 1)
            number, place = below[way], place * len(below) - way
        records, _ = self._leaf(self._whole(number, size), 0, number)
        return records[min(int(place * len(records)), len(records) - 1)]

    def _runs(self, number: int, level: int, after: bytes | None) -> Iterator[tuple[int, int]]:
        """The leaves below a page, starting with the one that `after` belongs to, as runs of consecutive pages: the
        number of the first leaf, and the length. A database written in the order of its keys has long runs."""
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
        """The pages below a branch, starting with the one that `after` belongs to."""
        page = self._whole(number, self._tree.page_size)
        try:
            nodes = [(*_NODE.unpack_from(page, at), at + _NODE.size) for at in self._pointers(page, 0, number, _BRANCH)]
        except struct.error as e:
            raise self._damaged("a record begins beyond its page") from e
        first = 0
        if after is not None:  # a branch's first node has no key, which counts as less than all
            first = bisect_right([page[at : at + size] for _, _, _, size, at in nodes[1:]], after)
        return [low | high << 16 | flags << 32 for low, high, flags, _, _ in nodes[first:]]

    def _leaf(self, run: bytes, start: int, number: int) -> tuple[list[_Record], bool]:
        """The records of the leaf at `start` of a run, and whether all their values are in it."""
        records: list[_Record] = []
        end, complete, node, head = start + self._tree.page_size, True, _NODE.unpack_from, _NODE.size
        try:
            for pointer in self._pointers(run, start, number, _LEAF):
                low, high, flags, key_size = node(run, start + pointer)
                key = start + pointer + head
                at = key + key_size
                behind = at + (low | high << 16)
                if flags:
                    if flags & (_NAMED | _DUPLICATES):
                        raise DataError(f"{self.path}: holds named databases, and a net reads only an unnamed one.")
                    complete = False
                    records.append((run[key:at], _Elsewhere(struct.unpack_from("<Q", run, at)[0], behind - at)))
                    behind = at + 8
                else:
                    records.append((run[key:at], run[at:behind]))
                if behind > end:
                    raise self._damaged("a record goes beyond its page")
        except struct.error as e:
            raise self._damaged("a record begins beyond its page") from e
        return records, complete

    def _pointers(self, data: bytes, start: int, number: int, kind: int) -> tuple[int, ...]:
        """The offsets of the nodes in the page at `start` of some data, relative to the page."""
        size = self._tree.page_size
        found, _, flags, lower, upper = _HEADER.unpack_from(data, start)
        first = _HEADER.size + _POINTER  # where the pointers end if there is only one: no page is without any
        if found != number or flags & _KINDS != kind or not first <= lower <= upper <= size:
            raise self._damaged(f"page {number:,} is not what it should be")
        return struct.unpack_from(f"<{(lower - _HEADER.size) // _POINTER}H", data, start + _HEADER.size)

    def _fetched(self, records: list[_Record]) -> Iterator[tuple[bytes, bytes]]:
        """The records with the values that are stored elsewhere. These are read in batches, which are yielded only
        after a check that the database has not changed meanwhile."""
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
        """`size` bytes from the start of a page on, as they were when the database was opened."""
        data = self._within(number, size)
        self._check_unchanged()
        if len(data) < size:
            raise self._damaged("it was cut short while it was read")
        return data

    def _within(self, number: int, size: int) -> bytes:
        """At most `size` bytes from the start of a page on. Raises DataError if they go beyond the last page."""
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
        where = f' after record "{name_key(behind)}"' if behind else ""
        return DataError(f"{self.path}: damaged{where} ({what}). Copy it again or make it again.")


def _found_instead(path: Path) -> str:
    """What `path` is instead of an LMDB, and what to do about it, for a message."""
    if not regular_file.exists(path):
        return "no such folder. Make the database first, or correct its name."
    if not path.is_dir():
        return "a file, where a database is a folder: an LMDB with a data.mdb in it, or a LevelDB."
    names = sorted(p.name for p in path.iterdir())
    if "CURRENT" in names:
        return "a LevelDB, not an LMDB. Say `backend: LEVELDB` in data_param."
    if not names:
        return "an empty folder, where an LMDB has a data.mdb. Make the database again."
    listing = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
    return f"not an LMDB: there is no data.mdb among {listing}"
