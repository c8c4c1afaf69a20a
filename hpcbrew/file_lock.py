"""Locks that let only one process of this machine do something at a time."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from hpcbrew import full_disk, paths
from hpcbrew.errors import TransportError


@contextmanager
def exclusive(task: str) -> Iterator[bool]:
    """Waits until no other process is at `task`, and yields whether there was one. Raises TransportError."""
    with _lock(task) as lock:
        waited = not _take(lock)
        if waited:
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield waited


def busy(task: str) -> bool:
    """Whether another process is at `task`, so that `exclusive` would wait. Raises TransportError."""
    with _lock(task) as lock:
        return not _take(lock)


def _lock(task: str) -> IO[bytes]:
    path = paths.data_home() / "locks" / task
    try:
        return paths.private_file(path).open("wb")
    except OSError as error:
        words = f"{error.strerror}{full_disk.remedy(error.strerror, full_disk.LOCAL)}"
        raise TransportError(f"{path}: cannot create this lock: {words}") from None


def _take(lock: IO[bytes]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
