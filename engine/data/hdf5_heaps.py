"""Finds the heaps of an HDF5 file in which HDF5's own reader would never come to an end.

Strings of variable length lie in global heaps: a header of 16 bytes with the heap's size, then objects, each with a
header of its own, one of which is the free space. The reader (seen with 2.0.0) goes from object to object, and stays
for ever at one that takes no space. The format: "HDF5 File Format Specification", III.E. Global Heap.
"""

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path

from engine.host import regular_file

_HEAP = struct.Struct("<4sB3xQ")
"""The header of a heap: GCOL, the version, its size in bytes."""
_OBJECT = struct.Struct("<HHIQ")
"""The header of an object: its number, 0 for free space; references; padding; its size, for free space with header."""
_BEGIN = _HEAP.pack(b"GCOL", 1, 0)[:8]

MOST = 100_000
"""The most objects that are looked at: a file that is read for its strings has a few."""


def are_sound(path: Path) -> bool:
    """Whether every object of every heap takes space, and there are not more than MOST. Raises OSError."""
    with regular_file.opened(path) as (descriptor, status):
        if not status.st_size:
            return True
        with mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ) as data:
            steps = (step for heap in _heaps(data) for step in _steps(data, heap))
            return all(step and n < MOST for n, step in enumerate(steps))


def _heaps(data: mmap.mmap) -> Iterator[int]:
    at = data.find(_BEGIN)
    while at >= 0:
        yield at
        at = data.find(_BEGIN, at + 1)


def _steps(data: mmap.mmap, heap: int) -> Iterator[int]:
    """The bytes from each object of a heap to the next, as the reader computes them, with 64 bits."""
    if heap + _HEAP.size > len(data):
        return
    at, end = heap + _HEAP.size, min(heap + _HEAP.unpack_from(data, heap)[2], len(data))
    while at + _OBJECT.size <= end:
        number, _, _, size = _OBJECT.unpack_from(data, at)
        step = (_OBJECT.size + -(-size // 8) * 8) % 2**64 if number else size
        yield step
        at += step or end
