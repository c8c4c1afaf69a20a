"""Layers from outside the tree: finds their modules, and reads the layer types and fields from the sources.

A module is named by HPCBREW_LAYERS, which `-layers` sets: a file, or a module name as for `import`; several are
separated by commas. Installed packages can name modules too, by entry points of the group `hpcbrew.layers`. The source
is read without running it, since a laptop without JAX needs the types too, and the fields must be known before the
schema is built.
"""

import ast
import importlib
import importlib.util
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.machinery import PathFinder
from importlib.metadata import entry_points
from pathlib import Path

from engine import user_errors
from engine.errors import EngineError, LayerError, PrototxtError
from engine.host import regular_file
from engine.job_contract import Variable

GROUP = "hpcbrew.layers"
"""The entry points of installed packages that name modules of layers."""

LARGEST = 4 << 20
"""The most bytes that a module's source may have."""

_TAKEN = frozenset((*sys.stdlib_module_names, "caffe", "engine", "hpcbrew"))


@dataclass(frozen=True)
class LayerModule:
    """A module of layers. name: as for `import`; root: the folder that it is imported from.

    types: those that its classes are registered for. schema: its fields in the language of .proto files, which begin
    in line `line` of the source. installed: whether an entry point names it.
    """

    name: str
    path: Path
    root: Path
    types: tuple[str, ...]
    schema: str
    line: int
    installed: bool = False


def modules() -> tuple[LayerModule, ...]:
    """The modules. If two have the same name, the one of HPCBREW_LAYERS counts. Raises PrototxtError if one cannot be
    read."""
    names = [name.strip() for name in os.environ.get(Variable.LAYERS, "").split(",")]
    named = [_named(name, str(Path.cwd())) for name in names if name]
    return tuple({module.name: module for module in (*_installed(), *named)}.values())


def types() -> dict[str, LayerModule]:
    """The layer types of the modules. Raises LayerError for a type that two modules have."""
    by_type: dict[str, LayerModule] = {}
    for module in modules():
        for kind in module.types:
            other = by_type.setdefault(kind, module)
            if other is not module:
                raise LayerError(f'{module.path}: {other.path} has a layer "{kind}" too: rename one of them.')
    return by_type


def use(given: str) -> None:
    """Makes the modules that `given` names available, in this process and in those that it starts.

    Raises PrototxtError if they cannot be read, and if they have fields but the schema is built already.
    """
    os.environ[Variable.LAYERS] = given
    late = [str(module.path) for module in modules() if module.schema and module not in _built]
    if late and "engine.proto.caffe_pb2" in sys.modules:
        raise PrototxtError(
            f"{', '.join(late)}: the fields of layers must be known before Caffe's schema is loaded: set "
            f"{Variable.LAYERS}={given} in the environment."
        )


_built: list[LayerModule] = []


def build() -> Iterator[LayerModule]:
    """The modules with fields, for building the schema. From now on these fields count as part of it."""
    _built.extend(module for module in modules() if module.schema)
    yield from _built


def load(module: LayerModule) -> None:
    """Imports a module, which registers its layers. Raises LayerError if the module raises anything."""
    root = str(module.root)
    sys.path.insert(0, root)
    try:
        loaded = importlib.import_module(module.name)
    except EngineError:
        raise
    except (Exception, SystemExit) as e:
        raise LayerError(f"{module.path}: {user_errors.described(e)}") from e
    finally:
        sys.path.remove(root)
        sys.path.append(root)  # for its later imports
    where = getattr(loaded, "__file__", None)
    if where is None or Path(where).resolve() != module.path.resolve():
        raise LayerError(f"{module.path}: {where or 'another module'} has the name {module.name} too: rename yours.")


@cache
def _named(name: str, folder: str) -> LayerModule:
    if name.endswith(".py") or os.sep in name:
        path = Path(folder, name)
        module, root = path.stem, path.parent
        if not module.isidentifier() or module in _TAKEN:
            raise PrototxtError(f"{path}: a module cannot have this name: rename the file.")
        return _read(module, path, root)
    location = _located(name, [folder, *sys.path])
    if location is None:
        raise PrototxtError(
            f'{Variable.LAYERS}: there is no module "{name}" in {folder} or on PYTHONPATH. To name a file, write '
            f"{name}.py."
        )
    return _read(name, *location)


@cache
def _installed() -> tuple[LayerModule, ...]:
    layer_modules = []
    for point in entry_points(group=GROUP):
        package = point.dist.name if point.dist else point.name
        place = _located(point.module, sys.path)
        if place is None:
            raise PrototxtError(
                f'the package {package} names the module "{point.module}" for its layers, which does not exist.'
            )
        layer_modules.append(_read(point.module, *place, installed=True))
    return tuple(layer_modules)


def _located(name: str, places: Sequence[str]) -> tuple[Path, Path] | None:
    """The file of a module, and the folder that it is imported from, found without running the packages around it."""
    parts = name.split(".")
    if not all(part.isidentifier() for part in parts) or parts[0] in _TAKEN:
        return None
    spec = PathFinder.find_spec(parts[0], places) or importlib.util.find_spec(parts[0])
    for n in range(2, len(parts) + 1):
        inside = spec.submodule_search_locations if spec else None
        spec = PathFinder.find_spec(".".join(parts[:n]), inside) if inside else None
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        return None
    path = Path(spec.origin)
    return path, path.parents[len(parts) - (path.name != "__init__.py")]


def _read(name: str, path: Path, root: Path, *, installed: bool = False) -> LayerModule:
    try:
        source = regular_file.read(path, LARGEST)
    except OSError as e:
        raise PrototxtError(f"{path}: the module of layers cannot be read: {e.strerror}.") from e
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source, str(path))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as e:
        raise PrototxtError(f"{path}: {user_errors.described(e)}") from e
    types = tuple(dict.fromkeys(_types(tree)))
    schema, line = next(_schemas(tree), ("", 0))
    if not types and not schema:
        raise PrototxtError(
            f'{path}: registers no layer: one of its classes needs @layer("NAME"), with the name written out.'
        )
    return LayerModule(name, path.absolute(), root.absolute(), types, schema, line, installed)


def _types(tree: ast.Module) -> Iterator[str]:
    """The types in `@layer("Mine")` and `@registry.layer("Mine")`."""
    for node in ast.walk(tree):
        for call in node.decorator_list if isinstance(node, ast.ClassDef) else ():
            match call:
                case ast.Call(
                    func=ast.Name(id="layer") | ast.Attribute(attr="layer"), args=[ast.Constant(value=str(kind)), *_]
                ):
                    yield kind


def _schemas(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """The text of `SCHEMA = "…"`, and the line at which it begins."""
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id="SCHEMA")], value=ast.Constant(value=str(text)) as value):
                yield text, value.lineno
