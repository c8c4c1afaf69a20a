"""The files that hold profiles: which there are, apart from what is in them."""

from pathlib import Path

from engine import shipped
from hpcbrew import paths


def folders() -> tuple[Path, Path]:
    """Where profiles are looked for: the user's own first, then those that ship with hpcbrew."""
    return paths.config_home() / "clusters", shipped.folder("configs") / "clusters"


def available() -> dict[str, Path]:
    """Every profile by name, in alphabetical order; the user's own wins over a shipped one."""
    found: dict[str, Path] = {}
    for folder in folders():
        for path in folder.glob("*.yaml"):
            found.setdefault(path.stem, path)
    return dict(sorted(found.items()))
