"""Modules that a fork of Caffe has in python/caffe beside BVLC's: SSD's `caffe.model_libs` and the like.

They are Python on what BVLC's package offers, and run on this one as they are: from the fork's checkout, where its
scripts expect them.
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
    """Finds `caffe.NAME` in the fork's files, where this package has none of that name."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module's spec; None for modules of other packages.

        Raises ModuleNotFoundError, which says where the module was looked for.
        """
        package, _, name = fullname.partition(".")
        if package != __package__ or not name or "." in name:
            return None
        spec = PathFinder.find_spec(fullname, [str(folder) for folder in _folders()], target)
        if spec is None:
            raise ModuleNotFoundError(
                f"No module named {fullname!r}. Nor has BVLC's Caffe. A fork's python/caffe/{name}.py runs here; "
                f"it was looked for in {PLACES}. Set CAFFE_ROOT to the fork's checkout; it need not be built.",
                name=fullname,
            )
        return spec


def begin() -> None:
    """Has imports that find nothing ask here, once."""
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
