"""Spreads work over threads and yields the results in order, with few calls in progress at a time."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from engine.host import cpu_count

T = TypeVar("T")
R = TypeVar("R")

CHUNK, CHUNK_BYTES = 64, 1 << 22
"""The number of records per call, and roughly the bytes of these, whichever is reached first."""
AHEAD = 4
"""Calls per thread that are in progress or whose results wait to be taken: memory holds only this many results."""


def mapped(function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """Yields `function` of each item, in order, computed by one thread per core.

    This is faster if the function spends its time in code that releases the GIL, such as OpenCV. An exception from a
    call is raised in place of its result; no more calls are then started.
    """
    workers = cpu_count.usable()
    waiting: deque[Future[R]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) >= AHEAD * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def chunks(records: Iterable[tuple[bytes, bytes]]) -> Iterator[list[tuple[bytes, bytes]]]:
    """Groups the records of a database into lists, for `mapped`."""
    chunk: list[tuple[bytes, bytes]] = []
    size = 0
    for record in records:
        chunk.append(record)
        size += len(record[1])
        if len(chunk) == CHUNK or size >= CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk
