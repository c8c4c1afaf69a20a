"""The user's cache, which is kept from one run to the next."""

import hashlib
import os
import platform
import stat
from pathlib import Path


def home() -> Path:
    """$XDG_CACHE_HOME/hpcbrew, or ~/.cache/hpcbrew; by XDG's rules, a relative $XDG_CACHE_HOME is ignored. Raises
    OSError for a user without a home."""
    setting = os.environ.get("XDG_CACHE_HOME", "")
    try:
        return (Path(setting) if setting.startswith("/") else Path.home() / ".cache") / "hpcbrew"
    except RuntimeError as e:
        raise OSError(str(e)) from e


def folder(purpose: str) -> Path:
    """The folder PURPOSE-PROCESSOR in `home`, one for each kind of processor; created if needed.

    Its content is trusted, or even executed, so a folder that others can write to is refused. Raises OSError, which
    says why the folder is not used.
    """
    path = home() / f"{purpose}-{_processor()}"
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    status = path.stat()
    if status.st_uid != os.getuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise OSError(f"others can write to {path}. chmod 700 it.")
    return path


def _processor() -> str:
    """A short digest of this processor's features: programs compiled for one kind may not run on another."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    abilities = next((line for line in lines if line.startswith(("flags", "Features"))), "") or platform.processor()
    return hashlib.sha256(f"{platform.machine()} {abilities}".encode()).hexdigest()[:12]
