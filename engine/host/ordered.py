"""Work spread over threads, whose results come in its order, with little of it under way at a time."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from engine.host import cpu_count

T = TypeVar("T")
R = TypeVar("R")

CHUNK, CHUNK_BYTES = 64, 1 << 22
"""Records, and their bytes about, that are worth a call together."""
AHEAD = 4
"""Calls under way or waiting to be taken, a thread: memory holds so many results, however many there are in all."""


def mapped(function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """`function` of each item, in their order, by as many threads as there are cores.

    Gains where the function spends its time in code that leaves Python to other threads, as OpenCV does. What it raises
    is raised when its result would come; no more calls are begun then.
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
    """The records of a database, some at a time, for `mapped`."""
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
