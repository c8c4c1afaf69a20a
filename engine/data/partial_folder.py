"""Folders that have their name only when they are whole; what a stopped process began, the next one can go on with."""

import errno
import fcntl
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from engine import log
from engine.errors import DataError
from engine.host import atomic_file

_SETTINGS, _LOCK = "settings.json", "writing.lock"
_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP)
"""What file systems say that have no locks, as Lustre mounted without flock. The last two are one on Linux."""


class PartialFolder:
    """A folder beside `path` that takes that name when it is published. `folder` is where it lies until then.

    The folder is `.NAME.partial`: a process that was killed leaves it. settings: what is being made, in JSON's values.
    The next process with equal settings goes on with what is there (`found`); one with others, or without any, begins
    anew. Two processes cannot have one folder.

    Raises DataError where `path` is there already, where another process is making it, and where it cannot be made.
    """

    def __init__(self, path: Path, settings: dict[str, Any] | None = None) -> None:
        self.path = path
        self.found = False
        self._settings = settings
        self._lock: int | None = None
        self._refuse_existing()
        with atomic_file.writing(path.parent, DataError):
            if not self._take():
                self.folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))

    def publish(self) -> None:
        """Gives the folder its name. Raises DataError where another process was faster; OSError."""
        umask = os.umask(0)
        os.umask(umask)
        (self.folder / _SETTINGS).unlink(missing_ok=True)
        self.folder.chmod(0o777 & ~umask)
        if self.path.exists():
            raise DataError(f"{self.path}: another process made it meanwhile; its version stays.")
        self.folder.rename(self.path)
        (self.path / _LOCK).unlink(missing_ok=True)
        atomic_file.sync_folder(self.path.parent)
        self._release()

    def remove(self) -> None:
        """Takes it away, with what is in it."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self._release()

    def abandon(self, done: int) -> None:
        """Ends the work on it: with settings, and something `done`, it stays for another process to go on with."""
        if self._settings is None or self._lock is None or not done:
            self.remove()
            return
        log.warning(
            "partial_folder",
            f"{self.path}: {done:,} records are kept in {self.folder}; the same command goes on from there.",
        )
        self._release()

    def _take(self) -> bool:
        """Makes the folder, or takes it up. False where the file system has no locks."""
        self.folder = self.path.parent / f".{self.path.name}.partial"
        self.folder.mkdir(exist_ok=True)
        if not self._acquire():
            return False
        if self.path.exists():  # made before this process had the lock
            self.remove()
            self._refuse_existing()
        file, text = self.folder / _SETTINGS, json.dumps(self._settings, sort_keys=True)
        self.found = self._settings is not None and file.exists() and file.read_text("utf-8", "replace") == text
        if not self.found:
            for old in self.folder.iterdir():
                if old.name != _LOCK:
                    old.unlink()
            atomic_file.replace(file, text.encode())
        return True

    def _acquire(self) -> bool:
        lock = os.open(self.folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as e:
            os.close(lock)
            if isinstance(e, BlockingIOError):
                raise DataError(f"{self.path}: another process is making it. Wait for that one, or end it.") from e
            if e.errno not in _NO_LOCKS:
                raise
            log.warning("partial_folder", f"{self.path.parent} has no file locks: what is stopped here begins anew.")
            return False
        self._lock = lock
        return True

    def _refuse_existing(self) -> None:
        if self.path.exists() or self.path.is_symlink():
            raise DataError(f"{self.path}: is there already. Remove it first, or give another name.")

    def _release(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
