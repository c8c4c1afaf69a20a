"""What is kept from one run to the next in the user's cache."""

import hashlib
import os
import platform
import stat
from pathlib import Path


def home() -> Path:
    """$XDG_CACHE_HOME/hpcbrew; XDG says that a relative path there is to be ignored. Raises OSError for a user that has
    no home."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    try:
        return (Path(given) if given.startswith("/") else Path.home() / ".cache") / "hpcbrew"
    except RuntimeError as e:
        raise OSError(str(e)) from e


def folder(purpose: str) -> Path:
    """PURPOSE-PROCESSOR below `home`, for each kind of processor one, made if it is not there.

    What lies there is believed, or even executed: a folder that others can write to is refused. Raises OSError, saying
    why it is not used.
    """
    there = home() / f"{purpose}-{_processor()}"
    there.mkdir(parents=True, exist_ok=True, mode=0o700)
    status = there.stat()
    if status.st_uid != os.getuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise OSError(f"others can write to {there}. chmod 700 it.")
    return there


def _processor() -> str:
    """A short name of this processor's abilities: programs compiled on one kind may not run on another."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    abilities = next((line for line in lines if line.startswith(("flags", "Features"))), "") or platform.processor()
    return hashlib.sha256(f"{platform.machine()} {abilities}".encode()).hexdigest()[:12]
