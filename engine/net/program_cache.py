"""A cache of compiled programs on disk, keyed by what they are made of: a later process loads them without tracing.

JAX's own cache finds a program by its lowered text, but tracing and lowering take longer than loading. Here the key
covers everything that determines the trace: the engine's source, the function and the net that it runs, the arguments'
shapes, JAX's settings. A function that depends on something without a digest has no key; JAX's cache keeps it.
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
"""The limit on the folder's size; the least recently used programs go."""


KEPT_FROM = "jax_persistent_cache_min_compile_time_secs"
"""JAX's setting: the compile time from which its own cache keeps a program."""


class NoKey(TypeError):
    """A value that its visible parts don't determine, such as a foreign function with a closure."""


def digest(parts: Any) -> str | None:
    """A SHA-256 of a value, which no other value has; None if the value has parts that can't be compared."""
    sha256 = hashlib.sha256()
    try:
        for piece in _pieces(parts):
            sha256.update(piece)
    except NoKey:
        return None
    return sha256.hexdigest()


def key(made_of: str, args: Any, options: Mapping[str, Any] | None) -> str | None:
    """The name of the program of a function with digest `made_of` for such arguments; None if it cannot be kept."""
    if _folder() is None:
        return None
    values = jax.config.values.items()
    settings = sorted((name, repr(value)) for name, value in values if not name.startswith("jax_persistent_cache"))
    machine = (jax.__version__, jaxlib.__version__, os.environ.get("XLA_FLAGS", ""), onednn_proof.passed())
    leaves, tree = jax.tree.flatten(args)
    shapes = [(a.shape, str(a.dtype), a.weak_type) for a in map(jax.typeof, leaves)]
    return digest((made_of, str(tree), repr((shapes, sorted((options or {}).items()), settings)), machine, _source()))


def load(name: str) -> Any:
    """The program of that name; None if there is none, or none that this process can use."""
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
    except Exception:  # a program from another machine may fail to load in any way: it is compiled again
        return None


def compiled(function: Callable[..., Any], name: str, args: Any, **options: Any) -> Any:
    """Compiles the function with `jax.jit` and `options` for such arguments, and saves the program under `name`.

    The function is renamed too, so that JAX's cache, which goes by the lowered text, holds no equal program under
    another name: a program from there lacks functions when it is serialized again (seen with jaxlib 0.10.2). JAX's
    cache does not keep a second copy. A program that calls oneDNN cannot be serialized.
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
    """Saves a program if there is a folder for it; logs a warning if it cannot be serialized or written."""
    folder = _folder()
    if folder is None:
        return
    try:
        data = pickle.dumps(serialize_executable.serialize(program))
        atomic_file.replace(folder / f"{name}.program", hashlib.sha256(data).digest() + data)
    except (OSError, ValueError, NotImplementedError, jax.errors.JaxRuntimeError) as e:
        log.warning("net.cpp:260", f"A compiled program is not kept for the next run: {e}")
        return
    with suppress(FileNotFoundError):  # another process may be removing them too
        _prune(folder)


def _folder() -> Path | None:
    """The folder for programs inside JAX's cache, if only the user can write there: a program is code to be executed.

    None without such a cache, or unless the only device is one CPU.
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
    """Removes the least recently used files beyond `BYTES`; in time that includes what killed processes left behind."""
    newest_first = sorted(((p.stat(), p) for p in folder.iterdir()), key=lambda each: -each[0].st_mtime)
    for (_, path), total in zip(newest_first, accumulate(status.st_size for status, _ in newest_first), strict=True):
        if total > BYTES:
            path.unlink(missing_ok=True)


@cache
def _source() -> str:
    """A digest of the engine's own code, on which every program depends."""
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def _pieces(value: Any) -> Iterator[bytes]:
    """`value` as bytes that no other value has. Raises NoKey if there are none."""
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
    """Where a function of the engine is defined, and its closure; together with `_source` this determines it."""
    code = function.__code__
    at = (code.co_filename.rpartition("/")[2], code.co_firstlineno, next(iter(code.co_positions())))
    cells = tuple(cell.cell_contents for cell in function.__closure__ or ())
    return (function.__module__, function.__qualname__, at, cells, function.__defaults__, function.__kwdefaults__)


def _by_name(function: Any) -> bool:
    """Whether a function is determined by its name: it is defined in a module or class, and closes over nothing."""
    return getattr(function, "__closure__", 0) is None and "<" not in function.__qualname__
