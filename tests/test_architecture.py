"""The order of the house: rooms import downwards, nothing goes round in circles, files and functions stay short."""

import ast
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

from engine.proto import layer_names

ROOT = Path(__file__).parents[1]

ORDER = {
    "hpcbrew": (
        ("cli",),
        ("check",),
        ("setup",),
        ("start",),
        ("submit",),
        ("track",),
        ("transfer",),
        ("plan",),
        ("schedulers", "transports", "localqueue"),
        ("clusters",),
        ("base",),
    ),
    "engine": (
        ("start",),
        ("cli", "python", "tools"),
        ("solver",),
        ("devices",),
        ("net",),
        ("layers",),
        ("data", "ops", "graph", "blob"),
        ("proto",),
        ("host",),
        ("base",),
    ),
}
"""The rooms of each package from top to bottom; those of one line stand side by side. base: what lies in no room."""

WITHOUT_JAX = (
    "hpcbrew",
    "engine.errors",
    "engine.graph",
    "engine.host",
    "engine.job_contract",
    "engine.printable",
    "engine.proto",
    "engine.suggest",
)
"""What a laptop without JAX can import."""

FUNCTION, FILE = 60, 400
"""The most lines."""


@cache
def modules() -> dict[str, Path]:
    """Every module of both packages but generated ones; a package stands for its `__init__`."""
    paths = (path for package in ORDER for path in sorted((ROOT / package).rglob("*.py")) if is_written(path))
    return {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in paths}


def is_written(path: Path) -> bool:
    return not path.name.endswith("_pb2.py")


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def named(module: str) -> Iterator[str]:
    """What a module imports, anywhere in its file, with full names: of modules, and of what is taken from them."""
    path = modules()[module]
    package = folder(module).split(".")
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) + 1 - node.level] if node.level else []
            start += [node.module] if node.module else []
            yield from (".".join([*start, alias.name]) for alias in node.names)


@cache
def imports() -> dict[str, set[str]]:
    """The modules of both packages that each module imports.

    With one come the packages that it lies in, whose `__init__` runs first, unless the importing one lies there too.
    """
    found: dict[str, set[str]] = {}
    for module in modules():
        asked = {name if name in modules() else name.rpartition(".")[0] for name in named(module)} & modules().keys()
        above = {
            ".".join(name.split(".")[:n]) for name in asked for n in range(2, name.count(".") + 1)
        } & modules().keys()
        found[module] = (asked | {package for package in above if not inside(module, package)}) - {module}
    return found


def folder(module: str) -> str:
    return module if modules()[module].name == "__init__.py" else module.rpartition(".")[0]


def inside(module: str, package: str) -> bool:
    return f"{module}.".startswith(f"{package}.")


def room(module: str) -> str:
    package, name = f"{module}.".split(".")[:2]
    if name in ("", "__main__"):
        return "cli"
    return name if any(name in row for row in ORDER[package]) else "base"


def height(module: str) -> int:
    """0 for the lowest rooms."""
    rows = ORDER[module.partition(".")[0]]
    return next(len(rows) - 1 - i for i, row in enumerate(rows) if room(module) in row)


def pairs() -> Iterator[tuple[str, str]]:
    for module, others in imports().items():
        for other in sorted(others):
            yield module, other


def circles(graph: Mapping[str, set[str]]) -> list[str]:
    """A circle for each node where a walk comes back to what it has passed; none where there are no circles."""
    found: list[str] = []
    done: set[str] = set()

    def walk(node: str, passed: list[str]) -> None:
        if node in passed:
            found.append(" → ".join([*passed[passed.index(node) :], node]))
        elif node not in done:
            for other in sorted(graph.get(node, ())):
                walk(other, [*passed, node])
            done.add(node)

    for node in sorted(graph):
        walk(node, [])
    return found


def test_every_room_has_its_place():
    rooms = {name.split(".")[1] for name in modules() if name.count(".") == 1 and folder(name) == name}
    assert rooms <= {name for rows in ORDER.values() for row in rows for name in row}


@pytest.mark.parametrize("package", ORDER)
def test_imports_go_down(package):
    here = [(a, b) for a, b in pairs() if inside(a, package) and inside(b, package)]
    wrong = [f"{module} imports {other}" for module, other in here if height(module) < height(other)]
    assert not wrong, "\n".join(wrong)


def test_the_engine_knows_nothing_of_the_submitter():
    wrong = [f"{a} imports {b}" for a, b in pairs() if inside(a, "engine") and inside(b, "hpcbrew")]
    assert not wrong, "\n".join(wrong)


def test_net_and_solver_ask_no_layer_for_its_type():
    """What they need to know of one, it declares."""
    above = [path for module, path in modules().items() if module.startswith(("engine.net.", "engine.solver."))]
    compared = [node for path in above for node in ast.walk(tree(path)) if isinstance(node, ast.Compare)]
    constants = {part.value for node in compared for part in ast.walk(node) if isinstance(part, ast.Constant)}
    assert not constants & layer_names.TYPES


def test_the_queue_of_this_machine_stands_by_itself():
    here = [(a, b) for a, b in pairs() if inside(a, "hpcbrew") and inside(b, "hpcbrew") and room(a) != room(b)]
    wrong = [
        f"{a} imports {b}"
        for a, b in here
        if room(b) == "localqueue" or (room(a) == "localqueue" and room(b) != "base")
    ]
    assert not wrong, "\n".join(wrong)


def test_no_module_imports_itself_round_about():
    found = circles(imports())
    assert not found, "\n".join(found)


def test_no_package_imports_itself_round_about():
    """What lies inside a package may use it and be used by it."""
    packages: dict[str, set[str]] = defaultdict(set)
    for module, other in pairs():
        here, there = folder(module), folder(other)
        if not inside(here, there) and not inside(there, here):
            packages[here].add(there)
    found = circles(packages)
    assert not found, "\n".join(found)


def test_jax_is_not_loaded_where_it_may_be_missing():
    free = [module for module in modules() if any(inside(module, package) for package in WITHOUT_JAX)]
    code = f"""
import importlib, sys
for name in {free}:
    importlib.import_module(name)
    assert not sys.modules.keys() & {{"jax", "jaxlib"}}, f"{{name}} loads JAX"
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_nor_is_it_by_a_function_that_is_called_later():
    uses_jax = {module for module in modules() if any(inside(name, "jax") for name in named(module))}
    reached = {module for module in modules() if any(inside(module, package) for package in WITHOUT_JAX)}
    left = list(reached)
    while left:
        more = imports()[left.pop()] - reached
        reached |= more
        left += more
    assert not reached & uses_jax, "\n".join(sorted(reached & uses_jax))


def test_a_job_is_planned_without_what_is_slow_to_load():
    """NumPy takes as long as planning itself."""
    code = "import sys, hpcbrew.cli.sending; print(sys.modules.keys() & {'numpy', 'rich', 'paramiko'})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("set()\n", "")


def test_no_function_is_longer_than_a_screen():
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name} has {length} lines"
        for path in modules().values()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if (length := (node.end_lineno or 0) - node.lineno + 1) > FUNCTION
    ]
    assert not wrong, "\n".join(wrong)


def test_no_file_is_too_long_to_read():
    paths = (path for name in (*ORDER, "scripts", "tests") for path in (ROOT / name).rglob("*.py") if is_written(path))
    lengths = {path.relative_to(ROOT): len(path.read_text("utf-8").splitlines()) for path in paths}
    wrong = [f"{path} has {length} lines" for path, length in lengths.items() if length > FILE]
    assert not wrong, "\n".join(wrong)
