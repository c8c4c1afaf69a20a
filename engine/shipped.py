"""Finds what ships beside the packages: `templates`, and `configs` with the models in it."""

from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]


def folder(name: str) -> Path:
    """The folder `templates` or `configs`: inside the installed wheel, or at the root of a checkout."""
    in_wheel = _ROOT / "hpcbrew" / "_data" / name
    return in_wheel if in_wheel.is_dir() else _ROOT / name


def models() -> dict[str, Path]:
    """The folders of the models that ship, by name."""
    return {path.name: path for path in sorted((folder("configs") / "models").iterdir()) if path.is_dir()}
