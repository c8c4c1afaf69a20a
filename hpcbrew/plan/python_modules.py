"""Finds the modules of Python layers as the engine does, and what they import. They are only parsed, never run."""

import ast
import io
import os
import sys
import tokenize
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from engine import user_errors
from engine.host import regular_file
from hpcbrew import layout
from hpcbrew.errors import ManifestError

LARGEST = 4 * 2**20
"""The most bytes that a module's source may have."""

OURS = frozenset((*sys.stdlib_module_names, "caffe", "engine", "hpcbrew"))
"""Python's own modules, and the engine's."""


def folders(named_in: Path) -> list[Path]:
    """Returns the folders for modules of a net in the file `named_in`: the current one, the file's, and
    PYTHONPATH's."""
    path = [Path(entry) for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    return list(dict.fromkeys(folder.absolute() for folder in (Path.cwd(), named_in.parent, *path) if folder.is_dir()))


def sources(module: str, places: Sequence[Path], location: str) -> dict[str, str]:
    """Returns the source of `module`, and of all that it imports from the folders `places`, by their paths below these.

    Empty if there is no such module in `places`. Raises ManifestError, with a message that begins with `location`, for
    a module that is not valid Python or cannot be sent along.
    """
    texts: dict[str, str] = {}
    waiting, seen = [module], {module}
    while waiting:
        name = waiting.pop()
        for path, file in _files(name, places).items():
            if str(path) in texts:
                continue
            _check_name(path, file, location)
            text = _text(file, location)
            texts[str(path)] = text
            package = path.parent.parts
            new_modules = [each for each in _imports(_parsed(text, file, location), package) if each not in seen]
            seen.update(new_modules)
            waiting += new_modules
    return texts


def _files(module: str, places: Sequence[Path]) -> dict[PurePosixPath, Path]:
    """Returns the files of a module and of the packages that contain it, from the first place that has the module."""
    parts = module.split(".")
    if not all(part.isidentifier() for part in parts) or parts[0] in OURS:
        return {}
    for place in places:
        packages = [PurePosixPath(*parts[:n], "__init__.py") for n in range(1, len(parts) + 1)]
        module_file = PurePosixPath(*parts[:-1], f"{parts[-1]}.py")
        if regular_file.is_file(place / module_file):
            files = [*packages[:-1], module_file]
        elif regular_file.is_file(place / packages[-1]):
            files = packages
        else:
            continue
        return {path: place / path for path in files if (place / path).is_file()}
    return {}


def _check_name(path: PurePosixPath, file: Path, location: str) -> None:
    if path.parts[0] in (layout.SNAPSHOTS, layout.POINTS):
        raise ManifestError(f"{location}: {file}: the run folder has its own folder of that name; rename the package")


def _text(file: Path, location: str) -> str:
    try:
        if file.stat().st_size > LARGEST:
            raise ManifestError(f"{location}: {file}: has {file.stat().st_size} bytes; a module may have {LARGEST}")
        data = file.read_bytes()
    except OSError as error:
        raise ManifestError(f"{location}: {file}: cannot be read: {error.strerror}") from None
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        if encoding in ("utf-8", "utf-8-sig"):
            return data.decode(encoding)
    except (SyntaxError, UnicodeDecodeError):
        encoding = "not UTF-8"
    raise ManifestError(f"{location}: {file}: is {encoding}: save it as UTF-8")


def _parsed(text: str, file: Path, location: str) -> ast.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text, str(file))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ManifestError(f"{location}: {user_errors.described(error)}") from None


def _imports(module: ast.Module, package: tuple[str, ...]) -> Iterator[str]:
    """Yields the names of all modules that it may import, wherever the import statements are."""
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join((*parents, *([node.module] if node.module else [])))
            yield from (base, *(f"{base}.{alias.name}" if base else alias.name for alias in node.names))
