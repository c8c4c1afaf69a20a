"""One process of this machine at a time."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from hpcbrew import full, places
from hpcbrew.errors import TransportError


@contextmanager
def alone(what: str) -> Iterator[bool]:
    """Waits until no other process is at `what`; gives whether there was one. Raises TransportError."""
    path = places.data_home() / "locks" / what
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.open("wb")
    except OSError as error:
        words = f"{error.strerror}{full.remedy(error.strerror, full.HERE)}"
        raise TransportError(f"{path}: no lock can be put there: {words}") from None
    with lock:
        waited = False
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waited = True
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield waited
