"""Makes `import caffe` skip a Caffe checkout that is not built when a script puts its python folder first on sys.path.

Many scripts and notebooks do so: `sys.path.insert(0, caffe_root + "python")`. The package `caffe` in that folder cannot
be imported, because the compiled `_caffe` is missing. Where hpcbrew is installed, Python imports this module at every
start, so it is small and imports only what is loaded anyway.
"""

import sys
from os.path import dirname, isfile, join

TYPE_CHECKING = False  # instead of typing's, which takes longer to import than everything else here
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec

OWN = dirname(__file__)  # noqa: PTH120  pathlib takes fifty times as long to import as this module


class BuiltCaffe:
    """A finder that replaces the first `caffe` on sys.path by this project's package if it is not built."""

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> "ModuleSpec | None":
        """This project's package instead of one that is not built, with a note on stderr; None leaves it to Python."""
        if fullname != "caffe":
            return None
        from importlib.machinery import PathFinder  # noqa: PLC0415  see above

        spec = PathFinder.find_spec(fullname)
        if spec is None or spec.origin is None or not is_unbuilt(dirname(spec.origin)):  # noqa: PTH120
            return None
        own = PathFinder.find_spec(fullname, [OWN])
        if own is not None:
            unbuilt = dirname(spec.origin)  # noqa: PTH120
            print(f"{unbuilt} is not built; importing {own.origin} instead", file=sys.stderr)
        return own


def is_unbuilt(package: str) -> bool:
    """Whether a folder is the package from Caffe's sources, without the library that a build adds.

    This project's package, of which `package` may be another installation, has `_caffe.py` in place of the library.
    """
    from importlib.machinery import EXTENSION_SUFFIXES  # noqa: PLC0415  see above

    libraries = (f"_caffe{suffix}" for suffix in (*EXTENSION_SUFFIXES, ".py"))
    return isfile(join(package, "pycaffe.py")) and not any(isfile(join(package, name)) for name in libraries)  # noqa: PTH113, PTH118


if not any(isinstance(finder, BuiltCaffe) for finder in sys.meta_path):
    sys.meta_path.insert(0, BuiltCaffe())
