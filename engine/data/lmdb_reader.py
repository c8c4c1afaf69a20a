"""LMDB databases, read without LMDB's own library, page by page, each page checked before it is believed.

The library maps a database into memory and trusts it: a page that the file lacks ends the process with SIGBUS, a
damaged one with SIGABRT, or nothing ends it; and so do pages that another process writes to meanwhile, since a reader
without locks (on a read-only file system) cannot keep them. It also allows one opening a process, which a user's own
`lmdb.open` may need. What reading needs of the format is small; it is described in the library's mdb.c and lmdb.h:

    two meta pages, written in turn, of which the later counts → the root of a tree of pages → branches, whose nodes
    name pages → leaves, whose nodes are records → overflow pages, for values that a page has no room for.

A page that the later meta page reaches is never written to before there is a still later one: what was read is right if
the meta pages are then what they were.
"""

import os
import struct
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path

from engine.data.databases import missing_key
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
_BIG, _NAMED, _DUPLICATES = 1, 2, 4
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


_Record = tuple[bytes, int, int, bool]
"""Key, where the value begins in the leaf and its size, and whether the number of its page stands there instead."""
_KEY = itemgetter(0)


class LMDB:
    """A folder with a data.mdb, on a file system that may be read-only. `entries`: how many records it has.

    Raises DataError for one that is missing, empty, cut short, damaged, written to meanwhile, or not an LMDB.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        file = path / "data.mdb"
        if not file.is_file():
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
        for page, records in self._leaves(after):
            for key, at, size, big in records:
                yield key, self._overflow(page, at, size) if big else page[at : at + size]

    def keys(self, after: bytes | None = None) -> Iterator[bytes]:
        """Their keys alone: values that lie in pages of their own are not read."""
        for _, records in self._leaves(after):
            for key, _, _, _ in records:
                yield key

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
            if len(found) < 8 or int.from_bytes(found, "little") > self._tree.transaction:
                raise DataError(
                    f"{self.path}: was written to while it is read. End what writes, or give the net a copy of it."
                )

    # The tree

    def _leaves(self, after: bytes | None) -> Iterator[tuple[bytes, list[_Record]]]:
        """The leaves from the one with `after` on, and their records, those behind it."""
        seen, last = 0, after or b""
        for page, pointers in self._below(self._tree.root, 1, after):
            records = [self._record(page, at) for at in pointers]
            if after is not None and not seen:
                first = bisect_left(records, after, key=_KEY)
                if first == len(records) or records[first][0] != after:
                    raise missing_key(self.path, after)
                del records[: first + 1]
            seen += len(pointers)
            for key, _, _, _ in records:
                if key <= last:
                    raise self._damaged("its keys are not in order")
                last = key
            yield page, records
        if seen != self.entries and after is None:
            raise self._damaged(f"{seen:,} records are there, and its header counts {self.entries:,}")

    def _below(self, number: int, level: int, after: bytes | None) -> Iterator[tuple[bytes, Sequence[int]]]:
        """The leaves below a page, from that on which `after` belongs to."""
        page, pointers = self._page(number, _LEAF if level == self._tree.depth else _BRANCH)
        if level == self._tree.depth:
            yield page, pointers
            return
        nodes = [self._node(page, at) for at in pointers]
        first = 0
        if after is not None:  # the first key of a branch is not there: it is less than all
            first = bisect_right([page[at : at + size] for _, _, _, size, at in nodes[1:]], after)
        for low, high, flags, _, _ in nodes[first:]:
            yield from self._below(low | high << 16 | flags << 32, level + 1, after)
            after = None

    def _record(self, page: bytes, pointer: int) -> _Record:
        low, high, flags, key_size, at = self._node(page, pointer)
        size = low | high << 16
        value = at + key_size
        if flags & (_NAMED | _DUPLICATES):
            raise DataError(f"{self.path}: holds databases with names, and a net reads one that has none.")
        if value + (8 if flags else size) > len(page):
            raise self._damaged("a record goes beyond its page")
        return page[at:value], value, size, bool(flags & _BIG)

    def _node(self, page: bytes, pointer: int) -> tuple[int, int, int, int, int]:
        try:
            return *_NODE.unpack_from(page, pointer), pointer + _NODE.size
        except struct.error as e:
            raise self._damaged("a record begins beyond its page") from e

    def _page(self, number: int, kind: int) -> tuple[bytes, Sequence[int]]:
        """A page, and where its nodes begin."""
        size = self._tree.page_size
        page = self._whole(number, size)
        found, _, flags, lower, upper = _HEADER.unpack_from(page)
        count = (lower - _HEADER.size) // 2
        if found != number or flags & _KINDS != kind or not _HEADER.size < lower <= upper <= size:
            raise self._damaged(f"page {number:,} is not what it should be")
        return page, struct.unpack_from(f"<{count}H", page, _HEADER.size)

    def _overflow(self, page: bytes, at: int, size: int) -> bytes:
        """The value of `size` bytes whose first page's number stands at `at`."""
        (number,) = struct.unpack_from("<Q", page, at)
        data = self._whole(number, _OVERFLOW.size + size)
        found, _, flags, pages = _OVERFLOW.unpack_from(data)
        if found != number or flags & _KINDS != _OVER or len(data) > pages * self._tree.page_size:
            raise self._damaged(f"page {number:,} is not what it should be")
        return data[_OVERFLOW.size :]

    def _whole(self, number: int, size: int) -> bytes:
        """`size` bytes from the beginning of a page on, as they were when the database was opened."""
        offset = number * self._tree.page_size
        if offset + size > (self._tree.last_page + 1) * self._tree.page_size:
            raise self._damaged(f"it names page {number:,} of {self._tree.last_page + 1:,}")
        data = self._read(size, offset)
        self._check_unchanged()
        if len(data) < size:
            raise self._damaged("it was cut short while it was read")
        return data

    def _read(self, size: int, at: int) -> bytes:
        try:
            return os.pread(self._file.fileno(), size, at)
        except (OSError, OverflowError) as e:
            raise DataError(f"{self.path}: cannot be read: {e}.") from e

    def _damaged(self, what: str) -> DataError:
        return DataError(f"{self.path}: damaged ({what}). Copy it again or make it again.")


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
