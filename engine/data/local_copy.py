"""Copies databases to the node's own disk before they are read, since a parallel file system is slow and shared.

A copy is made whole or not at all, by the first process on the node that needs it; others, even of other jobs, wait for
it and share it, and the last one removes it. What a killed process has left behind, the next one removes or uses.
"""

import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from engine import log
from engine.errors import DataError
from engine.units import short_size

_WHERE = "local_copy.cpp:1"
_WAIT = 0.05
"""Seconds to wait before another attempt, if two processes try to make one copy at the same moment."""


class LocalCopies:
    """The copies in `folder`, which must exist. They are held until `close`."""

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise DataError(f"-local_copy {folder}: no such folder. Name one on this node's own disk.")
        self._folder = folder
        self._locks = ExitStack()
        self._paths: dict[Path, Path] = {}
        for leftover in folder.glob("hpcbrew-*.lock"):  # left by a killed process, if nobody holds the lock
            with suppress(OSError), _lock(leftover, fcntl.LOCK_EX | fcntl.LOCK_NB) as lock:
                _release(lock, leftover.with_suffix(""))

    def of(self, database: Path) -> Path:
        """Where to read a database: its copy; or the original, with a warning, if there is no room for a copy."""
        if database not in self._paths:
            self._paths[database] = self._copied(database) if database.is_dir() else database
        return self._paths[database]

    def close(self) -> None:
        """Releases the copies, and removes those that nobody else reads."""
        self._locks.close()
        self._paths.clear()

    def _copied(self, database: Path) -> Path:
        try:
            files = _files(database)
            place = self._folder / f"hpcbrew-{_digest(database, files)}"
            while True:
                with ExitStack() as locks:
                    # The lock of a copy is shared by those who read it, and exclusive for making or removing it.
                    lock = locks.enter_context(_lock(place.with_suffix(".lock"), fcntl.LOCK_SH))
                    locks.callback(_release, lock, place)
                    if place.is_dir():
                        self._locks.push(locks.pop_all())
                        return place / database.name
                    with suppress(BlockingIOError):
                        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        if not place.is_dir() and not self._copy(database, files, place):
                            return database
                        fcntl.flock(lock, fcntl.LOCK_SH)  # not atomic: another may have removed it
                        if place.is_dir():
                            self._locks.push(locks.pop_all())
                            return place / database.name
                time.sleep(_WAIT)
        except OSError as e:
            raise DataError(f"{database}: cannot be copied to {self._folder}: {e.strerror or e}.") from e

    def _copy(self, database: Path, files: dict[str, os.stat_result], place: Path) -> bool:
        """Makes the copy. Returns False, with a warning, if there is no room for it."""
        shutil.rmtree(place.with_suffix(".part"), ignore_errors=True)
        size, free = sum(file.st_size for file in files.values()), shutil.disk_usage(self._folder).free
        if size > free:
            log.warning(
                _WHERE,
                f"{database} takes {short_size(size)}, and {self._folder} has {short_size(free)} left: it is read "
                "where it is.",
            )
            return False
        log.info(_WHERE, f"Copying {database} ({short_size(size)}) to {place}")
        started = time.monotonic()
        part = place.with_suffix(".part")
        try:
            (part / database.name).mkdir(parents=True, mode=0o700)
            for name in files:
                shutil.copyfile(database / name, part / database.name / name)
            if _stamps(_files(database)) != _stamps(files):
                raise DataError(
                    f"{database}: was written to while it was copied. Stop what writes to it, and start again."
                )
            part.rename(place)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
        log.info(_WHERE, f"Copied in {time.monotonic() - started:.1f} s.")
        return True


def _files(database: Path) -> dict[str, os.stat_result]:
    """The files of a database by name, except its lock file."""
    names = sorted(path.name for path in database.iterdir() if path.is_file())
    return {name: (database / name).stat() for name in names if name not in ("lock.mdb", "LOCK")}


def _stamps(files: dict[str, os.stat_result]) -> list[tuple[str, int, int]]:
    return [(name, file.st_size, file.st_mtime_ns) for name, file in files.items()]


def _digest(database: Path, files: dict[str, os.stat_result]) -> str:
    """Identifies a database and its present contents. It includes the user, since others cannot read the copy."""
    identity = (os.getuid(), str(database.resolve()), _stamps(files))
    return hashlib.sha256(repr(identity).encode("utf-8", "surrogateescape")).hexdigest()[:16]


@contextmanager
def _lock(path: Path, how: int) -> Iterator[int]:
    """Opens and locks a file, and tries again if it was removed before it was locked."""
    while True:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(lock, how)
            if _stands(lock, path):
                yield lock
                return
        finally:
            os.close(lock)


def _stands(lock: int, path: Path) -> bool:
    """Whether the opened file is still the one at `path`."""
    try:
        return os.path.samestat(os.fstat(lock), path.stat())
    except FileNotFoundError:
        return False


def _release(lock: int, place: Path) -> None:
    """Removes a copy and its lock file, unless another process holds the lock."""
    with suppress(OSError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for each in (place, place.with_suffix(".part")):
            shutil.rmtree(each, ignore_errors=True)
        place.with_suffix(".lock").unlink()


_copies: LocalCopies | None = None


@contextmanager
def into(folder: str) -> Iterator[None]:
    """Has databases that are opened within the block copied to `folder`, if given: a flag of the whole command."""
    global _copies  # noqa: PLW0603  the flag is global too
    _copies = LocalCopies(Path(folder)) if folder else None
    try:
        yield
    finally:
        if _copies is not None:
            _copies.close()
        _copies = None


def of(database: Path) -> Path:
    """Where to read a database: its copy, if copies are requested, otherwise the original."""
    return database if _copies is None else _copies.of(database)
