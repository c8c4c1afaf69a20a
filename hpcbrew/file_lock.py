"""One process of this machine at a time."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from hpcbrew import full_disk, paths
from hpcbrew.errors import TransportError


@contextmanager
def exclusive(what: str) -> Iterator[bool]:
    """Waits until no other process is at `what`; gives whether there was one. Raises TransportError."""
    with _lock(what) as lock:
        waited = not _take(lock)
        if waited:
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield waited


def busy(what: str) -> bool:
    """Whether another process is at `what`: one would wait. Raises TransportError."""
    with _lock(what) as lock:
        return not _take(lock)


def _lock(what: str) -> IO[bytes]:
    path = paths.data_home() / "locks" / what
    try:
        return paths.private_file(path).open("wb")
    except OSError as error:
        words = f"{error.strerror}{full_disk.remedy(error.strerror, full_disk.LOCAL)}"
        raise TransportError(f"{path}: no lock can be put there: {words}") from None


def _take(lock: IO[bytes]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
