"""Folders that get their name only once they are complete; if a process is stopped, the next one can continue."""

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
"""Errors of file systems without locks, such as Lustre mounted without flock. The last two are the same on Linux."""


class PartialFolder:
    """A folder beside `path` that is renamed to it when it is published. `folder`: its path until then.

    The folder is called `.NAME.partial`; a process that is killed leaves it behind. settings: JSON values that describe
    what is being made. The next process with equal settings continues with what is there (`found`); one with others, or
    with none, starts over. Two processes cannot use the same folder.

    Raises DataError if `path` exists already, if another process is making it, and if it cannot be made.
    """

    def __init__(self, path: Path, settings: dict[str, Any] | None = None) -> None:
        self.path = path
        self.found = False
        self._settings = settings
        self._lock: int | None = None
        self._refuse_existing()
        with atomic_file.writing(path.parent, DataError):
            if not self._claim():
                self.folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))

    def publish(self) -> None:
        """Gives the folder its name. Raises DataError if another process was faster, OSError if that fails."""
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
        """Removes the folder with its contents."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self._release()

    def abandon(self, records: int) -> None:
        """Ends the work on it. With settings, and some `records`, it is kept for another process to continue."""
        if self._settings is None or self._lock is None or not records:
            self.remove()
            return
        log.warning(
            "partial_folder",
            f"{self.path}: {records:,} records are kept in {self.folder}; the same command continues from there.",
        )
        self._release()

    def _claim(self) -> bool:
        """Creates the folder, or takes over an existing one. Returns False if the file system has no locks."""
        self.folder = self.path.parent / f".{self.path.name}.partial"
        self.folder.mkdir(exist_ok=True)
        if not self._acquire():
            return False
        if self.path.exists():  # finished by another process before this one got the lock
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
            log.warning("partial_folder", f"{self.path.parent} has no file locks: if stopped, this has to start over.")
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
