"""Compiled programs on the disk, found by what they were made of: a later process loads them and traces nothing.

JAX's own cache finds a program by its lowered text, and tracing and lowering take longer than loading. Here the key is
all that tracing follows from: the engine's own source, the function and the net that it runs, the arguments' shapes,
JAX's settings. What cannot be told by its value has no key, and is left to JAX's cache.
"""

import hashlib
import math
import os
import pickle
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from itertools import accumulate
from pathlib import Path, PurePath
from types import FunctionType
from typing import Any

import jax
import jaxlib
import numpy as np
from google.protobuf.message import Message
from jax.experimental import serialize_executable

from engine import log
from engine.errors import EngineError
from engine.host import atomic_file, regular_file
from engine.ops import onednn, onednn_proof

BYTES = 2**28
"""What the programs of the folder take together: those used last stay."""


KEPT_FROM = "jax_persistent_cache_min_compile_time_secs"
"""JAX's setting of how long a program has to take to compile for its own cache to keep it."""


class NoKey(TypeError):
    """A value that is more than its parts tell, as a function with what it closes over."""


def digest(parts: Any) -> str | None:
    """A short name of a value that no other has; None where there is no telling."""
    made = hashlib.sha256()
    try:
        for piece in _pieces(parts):
            made.update(piece)
    except NoKey:
        return None
    return made.hexdigest()


def key(made_of: str, args: Any, options: Mapping[str, Any] | None) -> str | None:
    """The name of the program of a function that is made of that, for such arguments; None where it has no place."""
    if _folder() is None:
        return None
    values = jax.config.values.items()
    settings = sorted((name, repr(value)) for name, value in values if not name.startswith("jax_persistent_cache"))
    machine = (jax.__version__, jaxlib.__version__, os.environ.get("XLA_FLAGS", ""), onednn_proof.passed())
    leaves, tree = jax.tree.flatten(args)
    shapes = [(a.shape, str(a.dtype), a.weak_type) for a in map(jax.typeof, leaves)]
    return digest((made_of, str(tree), repr((shapes, sorted((options or {}).items()), settings)), machine, _source()))


def load(name: str) -> Any:
    """The program of that name; None where there is none that can be used."""
    folder = _folder()
    if folder is None:
        return None
    path = folder / f"{name}.program"
    try:
        data = regular_file.read(path, BYTES)
        if hashlib.sha256(data[32:]).digest() != data[:32]:
            return None
        os.utime(path)
        return serialize_executable.deserialize_and_load(*pickle.loads(data[32:]))  # noqa: S301  see `_folder`
    except (OSError, EngineError):
        return None
    except Exception:  # whatever a program of another machine's makes of itself: it is compiled anew
        return None


def compiled(function: Callable[..., Any], name: str, args: Any, **options: Any) -> Any:
    """The program of `jax.jit` of the function, with those options, for such arguments: kept by that name.

    The function is called by it too, so that JAX's cache, which goes by what was lowered, has none of another name's:
    a program from there, written down a second time, lacks functions (seen with jaxlib 0.10.2). JAX need not keep a
    second one. One that calls oneDNN cannot be written down.
    """
    function.__name__ = f"program_{name}"
    lowered = jax.jit(function, **options).lower(*args)
    kept_from = jax.config.values[KEPT_FROM]
    jax.config.update(KEPT_FROM, math.inf)
    try:
        program = lowered.compile()
    finally:
        jax.config.update(KEPT_FROM, kept_from)
    if not onednn.called_by(lowered):
        save(name, program)
    return program


def save(name: str, program: Any) -> None:
    """Keeps a program, if there is a place for it; the log tells of one that cannot be written down."""
    folder = _folder()
    if folder is None:
        return
    try:
        data = pickle.dumps(serialize_executable.serialize(program))
        atomic_file.replace(folder / f"{name}.program", hashlib.sha256(data).digest() + data)
    except (OSError, ValueError, NotImplementedError, jax.errors.JaxRuntimeError) as e:
        log.warning("net.cpp:260", f"A compiled program is not kept for the next run: {e}")
        return
    with suppress(FileNotFoundError):  # another process removes them too
        _prune(folder)


def _folder() -> Path | None:
    """Within JAX's cache, where that is the user's own: a program is code that will be executed.

    None where there is no cache, and where there are other devices than one CPU.
    """
    above = jax.config.values.get("jax_compilation_cache_dir")
    if not above or not jax.config.values.get("jax_enable_compilation_cache"):
        return None
    if jax.default_backend() != "cpu" or jax.device_count() > 1:
        return None
    folder = Path(above) / "programs"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = [path.stat() for path in (Path(above), folder)]
    except OSError:
        return None
    own = all(s.st_uid == os.getuid() and not s.st_mode & (stat.S_IWGRP | stat.S_IWOTH) for s in status)
    return folder if own else None


def _prune(folder: Path) -> None:
    """Removes those that were not used for longest, beyond `BYTES`, and what killed processes left half written."""
    found = sorted(((p.stat(), p) for p in folder.iterdir()), key=lambda each: -each[0].st_mtime)
    for (_, path), total in zip(found, accumulate(status.st_size for status, _ in found), strict=True):
        if total > BYTES:
            path.unlink(missing_ok=True)


@cache
def _source() -> str:
    """The engine's own code: of another, a program is another."""
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def _pieces(value: Any) -> Iterator[bytes]:
    """`value` as bytes that no other value has. Raises NoKey."""
    yield f"<{type(value).__module__}.{type(value).__qualname__} ".encode()
    if isinstance(value, dict | list | tuple | range):
        for item in value.items() if isinstance(value, dict) else value:
            yield from _pieces(item)
    elif isinstance(value, set | frozenset):
        yield from sorted(b"".join(_pieces(item)) for item in value)
    elif is_dataclass(value) and not isinstance(value, type):
        for each in fields(value):
            yield from _pieces(getattr(value, each.name))
    elif isinstance(value, FunctionType) and value.__module__.startswith("engine."):
        yield from _pieces(_closure(value))
    else:
        yield _leaf(value)
    yield b">"


def _leaf(value: Any) -> bytes:
    if value is None or isinstance(value, bool | int | float | str | bytes | complex | Enum | PurePath):
        return repr(value).encode()
    if isinstance(value, np.ndarray | np.generic) and not value.dtype.hasobject:
        return f"{value.dtype.str} {value.shape} ".encode() + value.tobytes()
    if isinstance(value, Message):
        return value.SerializeToString(deterministic=True)
    if isinstance(value, type) or (callable(value) and _by_name(value)):
        return f"{value.__module__}.{value.__qualname__}".encode()
    raise NoKey(type(value))


def _closure(function: FunctionType) -> tuple[Any, ...]:
    """Where a function of ours is written, and what it closes over: with `_source` that tells all of it."""
    code = function.__code__
    at = (code.co_filename.rpartition("/")[2], code.co_firstlineno, next(iter(code.co_positions())))
    cells = tuple(cell.cell_contents for cell in function.__closure__ or ())
    return (function.__module__, function.__qualname__, at, cells, function.__defaults__, function.__kwdefaults__)


def _by_name(function: Any) -> bool:
    """Whether its name tells all of a function: it stands in a module and closes over nothing."""
    return getattr(function, "__closure__", 0) is None and "<" not in function.__qualname__
