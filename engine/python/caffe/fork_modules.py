"""Imports modules that a fork of Caffe adds to python/caffe, such as SSD's `caffe.model_libs`.

They are pure Python on top of BVLC's package, and run unchanged on this one. They are taken from the fork's checkout,
where its scripts expect them.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

PLACES = (
    "another caffe on sys.path, python/caffe of $CAFFE_ROOT and of the working directory, python/caffe beside or above "
    "the script"
)


class ForkModules:
    """Finds `caffe.NAME` in a fork's checkout if this package has no module of that name."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module's spec; None for modules of other packages.

        Raises ModuleNotFoundError, which lists the places searched.
        """
        package, _, name = fullname.partition(".")
        if package != __package__ or not name or "." in name:
            return None
        spec = PathFinder.find_spec(fullname, [str(folder) for folder in _folders()], target)
        if spec is None:
            raise ModuleNotFoundError(
                f"No module named {fullname!r}; BVLC's Caffe has none either. If a fork has it, its "
                f"python/caffe/{name}.py runs here: set CAFFE_ROOT to the fork's checkout, which need not be built. "
                f"Places searched: {PLACES}.",
                name=fullname,
            )
        return spec


def begin() -> None:
    """Installs the finder behind Python's own, unless it is already installed."""
    if not any(isinstance(finder, ForkModules) for finder in sys.meta_path):
        sys.meta_path.append(ForkModules())


def _folders() -> Iterator[Path]:
    for entry in sys.path:
        yield Path(entry, "caffe")
    roots = [Path(os.environ["CAFFE_ROOT"])] if os.environ.get("CAFFE_ROOT") else []
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    roots += [Path.cwd(), *(Path(script).absolute().parents if script else ())]
    for root in roots:
        yield root / "python" / "caffe"
