"""The user's own folders on this machine (XDG base directories)."""

import os
import stat
from pathlib import Path


def config_home() -> Path:
    """Returns the folder of the user's settings, including cluster profiles."""
    return _xdg("XDG_CONFIG_HOME", ".config")


def data_home() -> Path:
    """Returns the folder of the ledger, the local queue and the run folders of local jobs."""
    return _xdg("XDG_DATA_HOME", ".local/share")


def private_folder(path: Path) -> Path:
    """Makes a folder that only the user can access, like the data folder that contains it. Raises OSError."""
    for folder in (data_home(), path) if path.is_relative_to(data_home()) else (path,):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _keep_private(folder)
    return path


def private_file(path: Path) -> Path:
    """Makes a file in such a folder, empty if it is new, that only the user can read. Raises OSError."""
    private_folder(path.parent)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    _keep_private(path)
    return path


def _keep_private(path: Path) -> None:
    """Restricts permissions, which older versions left to the umask. Other people's files are not touched."""
    status = path.stat()
    if status.st_uid == os.getuid() and status.st_mode & 0o077 and path.is_relative_to(data_home()):
        path.chmod(stat.S_IMODE(status.st_mode) & 0o700)


def _xdg(variable: str, default: str) -> Path:
    """Relative paths in the variables are ignored, as XDG requires."""
    value = os.environ.get(variable, "")
    base = Path(value) if value.startswith("/") else Path.home() / default
    return base / "hpcbrew"
