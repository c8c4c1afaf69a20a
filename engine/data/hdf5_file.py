"""Reads HDF5 files from untrusted sources: never follows them into other files, and reports all damage as errors.

HDF5 files can refer to other files: by links, by datasets whose values are stored elsewhere, by datasets assembled from
others. So the maker of a model could have any file of its user read, and written into the next model. All readers of
HDF5 therefore go through here.
"""

import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from math import prod
from pathlib import Path
from typing import TypeAlias

import h5py
import numpy as np

from engine.data import hdf5_heaps
from engine.errors import EngineError
from engine.host import memory, regular_file
from engine.proto import raw_bytes

Object: TypeAlias = h5py.h5g.GroupID | h5py.h5d.DatasetID | h5py.h5t.TypeID

_DAMAGE = (OSError, RuntimeError, LookupError, TypeError, ValueError, ArithmeticError, SystemError, MemoryError)
"""What h5py raises for damaged files: whichever exception it maps the library's error code to."""

SIGNATURE = b"\x89HDF\r\n\x1a\n"
_MATLABS_BLOCK = 512
"""Bytes before the signature in a .mat of version 7.3."""

_LONGEST_TEXT = 1 << 16
"""The most bytes of a string: longer than any path."""

_HARMLESS = 1 << 20
"""Compressed bytes that zlib expands to a gigabyte at most; the chunks that h5py chooses are smaller."""

_FEW_CHUNKS = 1 << 12
"""How many chunks are read at once at most."""

_LEAST_OF_A_CHUNK = 8
"""The least bytes of the file that a chunk takes: those of its address."""

_SOFT_LINKS = 16
"""How many soft links in a row are followed, as in HDF5."""


class HDF5File:
    """An HDF5 file open for reading. Objects are named by paths: "data/conv1/0".

    Anything that cannot be read, or leads out of the file, raises the `error` given to `opened`, naming the file.
    """

    def __init__(self, path: Path, root: h5py.h5g.GroupID, error: type[EngineError]) -> None:
        self.path = path
        self._root, self._error = root, error

    def __contains__(self, name: str) -> bool:
        return self._find(name) is not None

    def members(self, group: str = "") -> list[str]:
        """The names in a group, sorted, as messages show them; empty if there is no such group."""
        with self._reporting(group):
            target = self._find(group)
            names = target if isinstance(target, h5py.h5g.GroupID) else ()
            return sorted(name.decode("utf-8", "backslashreplace") for name in names)

    def is_dataset(self, name: str) -> bool:
        return isinstance(self._find(name), h5py.h5d.DatasetID)

    def shape(self, name: str) -> tuple[int, ...] | None:
        """The shape of a dataset of numbers stored in this file; None if there is no dataset `name`."""
        dataset = self._dataset(name)
        return None if dataset is None else self._shape_of_numbers(dataset, name)

    def numbers(self, name: str) -> np.ndarray:
        """The values of a dataset of numbers, as float32. Its size is checked before memory is allocated."""
        return self._numbers(name, np.dtype(np.float32))

    def _numbers(self, name: str, kind: np.dtype) -> np.ndarray:
        dataset = self._dataset(name)
        if dataset is None:
            raise self.wrong(f'there is no dataset "{name}".')
        shape = self._shape_of_numbers(dataset, name)
        with self._reporting(name):
            layout = dataset.get_create_plist()
            chunk = layout.get_chunk() if layout.get_layout() == h5py.h5d.CHUNKED else ()
            most, size = prod(chunk) if chunk else 0, dataset.dtype.itemsize
            if lacking := memory.lacking(prod(shape) * (size + kind.itemsize) + most * size):
                raise self.wrong(f'dataset "{name}" of shape {list(shape)} {lacking}.')
            if chunk:
                self._check_chunks(dataset, name, chunk)
            values = np.empty(shape, kind)
            with np.errstate(over="ignore"):  # a double beyond float32 is infinite, as in C
                for part in slabs(shape, chunk):
                    values[part] = h5py.Dataset(dataset)[part]
            return values

    def integer(self, name: str) -> int:
        """The value of a dataset of a single whole number."""
        shape = self.shape(name)
        if shape is None or prod(shape) != 1:
            raise self.wrong(
                f'"{name}" is {"missing" if shape is None else f"of shape {list(shape)}"}; one number is needed.'
            )
        value = float(self._numbers(name, np.dtype(np.float64)).reshape(()))  # a float32 counts no further than 2^24
        if not value.is_integer():
            raise self.wrong(f'"{name}" is {value:g}; a whole number is needed.')
        return int(value)

    def text(self, name: str) -> str:
        """The value of a dataset of a single string; "" if there is no such dataset."""
        dataset = self._dataset(name)
        if dataset is None:
            return ""
        with self._reporting(name):
            kind, string = dataset.dtype, h5py.check_string_dtype(dataset.dtype)
            if prod(dataset.shape) != 1 or string is None or kind.itemsize > _LONGEST_TEXT:
                raise self.wrong(f'"{name}" of {kind} and shape {list(dataset.shape)} is not a string.')
            if string.length is None and not hdf5_heaps.are_sound(self.path):
                raise self.wrong(f'damaged: the heap of "{name}" has no end.')
            value = h5py.Dataset(dataset)[()]
            while isinstance(value, np.ndarray):
                value = value[0]
            return raw_bytes.decoded(value) if isinstance(value, bytes) else str(value)

    def wrong(self, what: str) -> EngineError:
        """The error for this file whose message says `what`."""
        return self._error(f"{self.path}: {what}")

    def _check_chunks(self, dataset: h5py.h5d.DatasetID, name: str, chunk: tuple[int, ...]) -> None:
        """Raises the error for chunks that take more time or memory than a file of this size can justify."""
        count = prod(chunks_along(dataset.shape, chunk))
        size = h5py.h5i.get_file_id(dataset).get_filesize()
        if count > max(_FEW_CHUNKS, size // _LEAST_OF_A_CHUNK):
            raise self.wrong(
                f'dataset "{name}" of shape {list(dataset.shape)} has {count:,} chunks of shape {list(chunk)}, and the '
                f"file has {size:,} bytes: it is damaged or malicious."
            )
        if swells(dataset, prod(chunk) * dataset.dtype.itemsize):
            raise self.wrong(f'dataset "{name}" unpacks to more than its chunks hold: it is damaged or malicious.')

    def _dataset(self, name: str) -> h5py.h5d.DatasetID | None:
        dataset = self._find(name)
        if not isinstance(dataset, h5py.h5d.DatasetID):
            return None
        with self._reporting(name):
            layout = dataset.get_create_plist()
            if layout.get_layout() == h5py.h5d.VIRTUAL or layout.get_external_count():
                raise self.wrong(
                    f'dataset "{name}" keeps its values in other files, which are not read. Write them to this file.'
                )
        return dataset

    def _shape_of_numbers(self, dataset: h5py.h5d.DatasetID, name: str) -> tuple[int, ...]:
        with self._reporting(name):
            if dataset.dtype.kind not in "fiu" or dataset.get_space().get_simple_extent_type() == h5py.h5s.NULL:
                raise self.wrong(f'dataset "{name}" of {dataset.dtype} is not an array of numbers.')
            if h5py.h5a.exists(dataset, b"MATLAB_empty"):  # its values are the array's shape
                raise self.wrong(f'dataset "{name}" is an empty MATLAB array.')
            return tuple(dataset.shape)

    def _find(self, name: str) -> Object | None:
        """The object that `name` leads to, link by link; None if it leads nowhere."""
        with self._reporting(name):
            return self._walk(self._root, name, _SOFT_LINKS)

    def _walk(self, start: Object, name: str, links_left: int) -> Object | None:
        node = self._root if name.startswith("/") else start
        for part in raw_bytes.encoded(name).split(b"/"):
            if part in (b"", b"."):
                continue
            if not isinstance(node, h5py.h5g.GroupID) or not node.links.exists(part):
                return None
            kind = node.links.get_info(part).type
            if kind == h5py.h5l.TYPE_HARD:
                node = h5py.h5o.open(node, part)
            elif kind == h5py.h5l.TYPE_SOFT:
                if not links_left:
                    raise self.wrong(f'"{name}" is one of a chain of links that is too long, or never ends.')
                target = self._walk(node, raw_bytes.decoded(node.links.get_val(part)), links_left - 1)
                if target is None:
                    return None
                node = target
            else:
                raise self.wrong(
                    f'"{name}" is a link into another file, which is not read. Write the values to this file.'
                )
        return node

    @contextmanager
    def _reporting(self, name: str) -> Iterator[None]:
        """Turns whatever h5py raises within the block into the error that says that `name` is damaged."""
        try:
            yield
        except EngineError:
            raise
        except _DAMAGE as e:
            what = f'"{name}"' if name else "it"
            raise self._error(f"{self.path}: damaged: {what} cannot be read ({_reason(e)}).") from e


@contextmanager
def opened(path: Path, error: type[EngineError]) -> Iterator[HDF5File]:
    """The HDF5 file `path`. Raises `error` if it is not one."""
    try:
        regular_file.check(path)
        file = h5py.File(path, "r")
        root = h5py.h5g.open(file.id, b"/")
    except _DAMAGE as e:
        raise error(f"{path}: cannot be read as HDF5 ({_reason(e)}).") from e
    try:
        yield HDF5File(path, root, error)
    finally:
        with suppress(*_DAMAGE):
            file.close()


def chunks_along(shape: Sequence[int], chunk: Sequence[int]) -> list[int]:
    """The number of chunks along each axis."""
    return [-(-size // part) for size, part in zip(shape, chunk, strict=True)]


def slabs(shape: Sequence[int], chunk: Sequence[int]) -> Iterator[tuple[slice, ...]]:
    """Yields parts of a dataset, of whole chunks each, that together cover it; one part if it has no chunks.

    HDF5 holds some kilobytes for each chunk that is read at once: a gigabyte for three megabytes of small chunks.
    """
    todo = [tuple(slice(0, size) for size in shape)]
    while todo:
        part = todo.pop()
        counts = chunks_along([s.stop - s.start for s in part], chunk) if chunk else [1]
        if prod(counts) <= _FEW_CHUNKS:
            yield part
            continue
        axis = next(i for i, n in enumerate(counts) if n > 1)
        middle = part[axis].start + counts[axis] // 2 * chunk[axis]
        for half in (slice(middle, part[axis].stop), slice(part[axis].start, middle)):
            todo.append((*part[:axis], half, *part[axis + 1 :]))


def swells(dataset: h5py.h5d.DatasetID, chunk: int) -> bool:
    """Whether a chunk, which holds `chunk` bytes, is compressed to more than that, or unpacks to more.

    HDF5 unpacks whatever there is: zlib can turn two megabytes into two thousand. Small chunks cannot do much harm.
    """
    layout = dataset.get_create_plist()
    deflate = [n for n in range(layout.get_nfilters()) if layout.get_filter(n)[0] == h5py.h5z.FILTER_DEFLATE]
    packed: list[tuple[int, tuple[int, ...]]] = []

    def look(stored: h5py.h5d.StoreInfo) -> None:
        if any(not stored.filter_mask >> n & 1 for n in deflate):
            packed.append((stored.size, stored.chunk_offset))

    if deflate:
        dataset.chunk_iter(look)
    most = chunk + chunk // 50 + 1024  # zlib's overhead on incompressible data, and a checksum
    return any(
        size > most or (size > _HARMLESS and _unpacks_to_more(dataset.read_direct_chunk(at)[1], chunk))
        for size, at in packed
    )


def _unpacks_to_more(packed: bytes, size: int) -> bool:
    try:
        return len(zlib.decompressobj().decompress(packed, size + 1)) > size
    except zlib.error:  # HDF5 will report it
        return False


def is_hdf5(path: Path) -> bool:
    """Whether a file begins like HDF5, or like MATLAB's HDF5, after a block of its own; False if it cannot be read."""
    try:
        regular_file.check(path)
        with path.open("rb") as file:
            head = file.read(_MATLABS_BLOCK + len(SIGNATURE))
    except OSError:
        return False
    return head.startswith(SIGNATURE) or head.endswith(SIGNATURE)


def named(names: Sequence[str], most: int = 10) -> str:
    """The first `most` names, joined for a message."""
    return ", ".join(names[:most]) + (", …" if len(names) > most else "") or "none"


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error.args[0] if error.args else "") or type(error).__name__
