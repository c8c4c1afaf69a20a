"""Where things lie on this machine: what ships with hpcbrew, and the user's own folders (XDG base directories)."""

import os
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def shipped(name: str) -> Path:
    """A folder that ships with hpcbrew, `templates` or `configs`: inside the wheel, or at the root of a checkout."""
    in_wheel = _PACKAGE / "_data" / name
    return in_wheel if in_wheel.is_dir() else _PACKAGE.parent / name


def config_home() -> Path:
    """The user's own settings, cluster profiles among them."""
    return _xdg("XDG_CONFIG_HOME", ".config")


def data_home() -> Path:
    """The ledger, the local queue and the run folders of local jobs."""
    return _xdg("XDG_DATA_HOME", ".local/share")


def _xdg(variable: str, default: str) -> Path:
    """XDG says that a relative path in its variables is to be ignored."""
    value = os.environ.get(variable, "")
    base = Path(value) if value.startswith("/") else Path.home() / default
    return base / "hpcbrew"
