"""Finds the files that contain profiles, without reading them."""

from pathlib import Path

from engine import shipped
from hpcbrew import paths


def folders() -> tuple[Path, Path]:
    """Returns where profiles are looked up: the user's own first, then those that ship with hpcbrew."""
    return paths.config_home() / "clusters", shipped.folder("configs") / "clusters"


def available() -> dict[str, Path]:
    """Returns every profile by name, in alphabetical order; the user's own take precedence over shipped ones."""
    profiles: dict[str, Path] = {}
    for folder in folders():
        for path in folder.glob("*.yaml"):
            profiles.setdefault(path.stem, path)
    return dict(sorted(profiles.items()))
