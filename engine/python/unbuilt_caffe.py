"""Passes by a checkout of Caffe that is not built, where a script puts its python folder first on sys.path.

Scripts and notebooks do: `sys.path.insert(0, caffe_root + "python")`. There is a package `caffe` there, which ends at
the compiled `_caffe` that it has not. Where hpcbrew is installed Python imports this module whenever it starts: it is
small, and imports only what is there anyway.
"""

import sys
from os.path import dirname, isfile, join

TYPE_CHECKING = False  # that of typing, which takes longer to import than all else here
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec

OWN = dirname(__file__)  # noqa: PTH120  pathlib takes fifty times as long to import as this module


class BuiltCaffe:
    """Finds `caffe`, the first on sys.path but for those that could not be imported."""

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> "ModuleSpec | None":
        """This project's package in place of one that is not built, which is said; None leaves it to Python."""
        if fullname != "caffe":
            return None
        from importlib.machinery import PathFinder  # noqa: PLC0415  see above

        spec = PathFinder.find_spec(fullname)
        if spec is None or spec.origin is None or not is_unbuilt(dirname(spec.origin)):  # noqa: PTH120
            return None
        own = PathFinder.find_spec(fullname, [OWN])
        if own is not None:
            print(f"{dirname(spec.origin)} is not built; imported is {own.origin}", file=sys.stderr)  # noqa: PTH120
        return own


def is_unbuilt(package: str) -> bool:
    """Whether a folder is Caffe's own package, as git has it, without the library that building makes.

    This project's, which another installation of it may be, has `_caffe.py` in its place.
    """
    from importlib.machinery import EXTENSION_SUFFIXES  # noqa: PLC0415  see above

    made = (f"_caffe{suffix}" for suffix in (*EXTENSION_SUFFIXES, ".py"))
    return isfile(join(package, "pycaffe.py")) and not any(isfile(join(package, name)) for name in made)  # noqa: PTH113, PTH118


if not any(isinstance(finder, BuiltCaffe) for finder in sys.meta_path):
    sys.meta_path.insert(0, BuiltCaffe())
