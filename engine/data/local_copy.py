"""Databases copied to the node's own disk before they are read: a parallel file system is slow, and everybody's.

A copy is made whole or not at all, by the first process of the node that wants it; others wait and share it, those of
other jobs too. The last one removes it. What a process that was killed has left is removed, or used, by the next one.
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
"""Seconds, where two want to make one copy at the same moment."""


class LocalCopies:
    """The copies in `folder`, which must be there. They are held until `close`."""

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise DataError(f"-local_copy {folder}: no such folder. Name one on this node's own disk.")
        self._folder = folder
        self._held = ExitStack()
        self._paths: dict[Path, Path] = {}
        for left in folder.glob("hpcbrew-*.lock"):  # by a process that was killed, if nobody has it locked
            with suppress(OSError), _lock(left, fcntl.LOCK_EX | fcntl.LOCK_NB) as lock:
                _release(lock, left.with_suffix(""))

    def of(self, database: Path) -> Path:
        """Where to read a database: its copy; or itself, with a warning, where there is no room for one."""
        if database not in self._paths:
            self._paths[database] = self._copied(database) if database.is_dir() else database
        return self._paths[database]

    def close(self) -> None:
        """Lets go of the copies, and removes those that nobody else reads."""
        self._held.close()
        self._paths.clear()

    def _copied(self, database: Path) -> Path:
        try:
            files = _files(database)
            place = self._folder / f"hpcbrew-{_digest(database, files)}"
            while True:
                with ExitStack() as held:
                    # Who reads a copy shares its lock, and who makes or removes one has it alone.
                    lock = held.enter_context(_lock(place.with_suffix(".lock"), fcntl.LOCK_SH))
                    held.callback(_release, lock, place)
                    if place.is_dir():
                        self._held.push(held.pop_all())
                        return place / database.name
                    with suppress(BlockingIOError):
                        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        if not place.is_dir() and not self._copy(database, files, place):
                            return database
                        fcntl.flock(lock, fcntl.LOCK_SH)  # free for a moment: another may have removed it
                        if place.is_dir():
                            self._held.push(held.pop_all())
                            return place / database.name
                time.sleep(_WAIT)
        except OSError as e:
            raise DataError(f"{database}: cannot be copied to {self._folder}: {e.strerror or e}.") from e

    def _copy(self, database: Path, files: dict[str, os.stat_result], place: Path) -> bool:
        """Whether there was room for it."""
        shutil.rmtree(place.with_suffix(".part"), ignore_errors=True)
        size, free = sum(file.st_size for file in files.values()), shutil.disk_usage(self._folder).free
        if size > free:
            log.warning(
                _WHERE,
                f"{database}: {short_size(size)}, and {self._folder} has {short_size(free)} left: it is read "
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
                raise DataError(f"{database}: was written to while it was copied. End what writes, and start again.")
            part.rename(place)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
        log.info(_WHERE, f"Copied in {time.monotonic() - started:.1f} s.")
        return True


def _files(database: Path) -> dict[str, os.stat_result]:
    """The files of a database by name, but for its locks."""
    names = sorted(path.name for path in database.iterdir() if path.is_file())
    return {name: (database / name).stat() for name in names if name not in ("lock.mdb", "LOCK")}


def _stamps(files: dict[str, os.stat_result]) -> list[tuple[str, int, int]]:
    return [(name, file.st_size, file.st_mtime_ns) for name, file in files.items()]


def _digest(database: Path, files: dict[str, os.stat_result]) -> str:
    """Of what tells a database from others, and from what it was before. A user's own: others cannot read it."""
    told = (os.getuid(), str(database.resolve()), _stamps(files))
    return hashlib.sha256(repr(told).encode("utf-8", "surrogateescape")).hexdigest()[:16]


@contextmanager
def _lock(path: Path, how: int) -> Iterator[int]:
    """A file that is locked; one that was removed meanwhile is no lock any more."""
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
    """Whether the file that was opened is still the one of that name."""
    try:
        return os.path.samestat(os.fstat(lock), path.stat())
    except FileNotFoundError:
        return False


def _release(lock: int, place: Path) -> None:
    """Removes the copy, and its lock, unless another process has it locked."""
    with suppress(OSError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for each in (place, place.with_suffix(".part")):
            shutil.rmtree(each, ignore_errors=True)
        place.with_suffix(".lock").unlink()


_copies: LocalCopies | None = None


@contextmanager
def into(folder: str) -> Iterator[None]:
    """Databases opened meanwhile are copied to `folder`, if one is named: a flag of the whole command."""
    global _copies  # noqa: PLW0603  as the flag itself
    _copies = LocalCopies(Path(folder)) if folder else None
    try:
        yield
    finally:
        if _copies is not None:
            _copies.close()
        _copies = None


def of(database: Path) -> Path:
    """Where to read a database: its copy where copies are asked for, or else itself."""
    return database if _copies is None else _copies.of(database)
