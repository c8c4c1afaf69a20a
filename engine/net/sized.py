"""Compiled functions whose arguments come in several sizes, such as pictures that are never resized."""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import numpy as np

from engine import log
from engine.net import program_cache
from engine.net.jitted import compiler_options, for_platform, on_cpu
from engine.net.last_used import LastUsed
from engine.ops import onednn_proof

KEPT = 64
"""The number of programs that a function keeps, one per set of sizes: those used most recently."""

OFTEN = 16
"""The number of uses from which a size is worth compiling with all of XLA's optimizations."""

VARIED = "varied"
"""The first key among the counts if sizes vary, so that the first size is no more common than others."""


class Uses:
    """Counts how often each size has come, and thereby decides which are compiled with all optimizations.

    These are the first size, unless sizes are known to vary, and those that have come `OFTEN` times. Values may differ
    in the last bits between the two ways, so a resumed run goes on with the `counts` of the one that was stopped.

    varied: sizes are known to vary from the start. ahead: returns the inputs that follow the first ones, or None if
    they are not known; sizes vary if theirs is another.
    """

    def __init__(self, *, varied: bool = False, ahead: Callable[[], Any] = lambda: None) -> None:
        self.counts: dict[str, int] = {VARIED: 0} if varied else {}
        self._ahead = ahead

    def full(self, inputs: Any) -> bool:
        """Counts a use of this size. Returns whether it gets all optimizations."""
        name = self._begun(inputs)
        self.counts[name] = min(self.counts.get(name, 0) + 1, OFTEN)
        return self.counts[name] == OFTEN

    def first(self, inputs: Any) -> bool:
        """Whether this is the first size that came, and sizes are not known to vary."""
        name = self._begun(inputs)
        return next(iter(self.counts)) == name

    def _begun(self, inputs: Any) -> str:
        """The name of the inputs' size; the first inputs also decide here how their size is treated."""
        name = _name(inputs)
        if not self.counts:
            ahead = self._ahead()
            self.counts = {name: OFTEN} if ahead is None or _name(ahead) == name else {VARIED: 0}
        return name

    def restore(self, counts: Mapping[str, int]) -> None:
        self.counts = dict(counts)


def _name(inputs: Any) -> str:
    """The shapes of arrays, written like 1x3x224x224;1."""
    return ";".join("x".join(map(str, np.shape(leaf))) for leaf in jax.tree.leaves(inputs))


@dataclass
class _Program:
    run: Callable[..., Any]
    quick: bool


class Sized:
    """`jax.jit` of a function, with a program for each set of its arguments' shapes.

    name: what the log calls the function. uses: decides how each size is compiled. inputs: picks the arguments whose
    sizes `uses` counts. light: whether the convolutions on such arguments take less time than compiling them again in
    every process; quick programs then do without oneDNN, whose calls cannot be kept on disk. made_of: all that
    determines the function's program besides its arguments, for `program_cache`; without it, only JAX's cache keeps
    programs.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        name: str,
        *,
        uses: Uses | None = None,
        inputs: Callable[..., Any] = lambda *args: args,
        light: Callable[..., bool] = lambda *args: True,
        made_of: Callable[[], Any] | None = None,
        **options: Any,
    ) -> None:
        self._function, self._name, self._options = function, name, options
        self._uses, self._inputs, self._light, self._parts = uses or Uses(), inputs, light, made_of
        self._programs: LastUsed[tuple[tuple[int, ...], ...], _Program] = LastUsed(KEPT)

    def __call__(self, *args: Any) -> Any:
        shapes = tuple(np.shape(leaf) for leaf in jax.tree.leaves(args))
        full = self._uses.full(self._inputs(*args))
        program = self._programs.get(shapes)
        if program is None or (full and program.quick):
            program = self._programs.put(shapes, self._new(full, program, args))
        return program.run(*args)

    def _new(self, full: bool, before: _Program | None, args: Any) -> _Program:
        message = ""
        if before:
            message = f"Compiling {self._name} for a size that comes often, to run faster."
        elif len(self._programs) or not full:
            message = (
                f"Compiling {self._name} for {'another' if len(self._programs) else 'a first'} size of its inputs."
            )
        quick = not full and on_cpu()
        around = onednn_proof.left_out if quick and self._light(*args) else nullcontext

        def sized(*args: Any) -> Any:  # JAX keeps the compiled program for as long as this function lives
            with around():
                return self._function(*args)

        with around():
            return _Program(_compiled(sized, self._made_of, args, self._options, quick=quick, message=message), quick)

    @cached_property
    def _made_of(self) -> str | None:
        """A digest of what the function is made of; None if there is none."""
        return program_cache.digest((self._parts(), self._options)) if self._parts else None


class FixedSize:
    """`jax.jit` of a function without convolutions whose arguments have the same shapes at every call.

    made_of: all that determines its program besides these.
    """

    def __init__(self, function: Callable[..., Any], made_of: Any, **options: Any) -> None:
        self._function, self._made_of, self._options = function, made_of, options
        self._run: Callable[..., Any] | None = None

    def __call__(self, *args: Any) -> Any:
        if self._run is None:
            name = program_cache.digest((self._made_of, self._options))
            with onednn_proof.left_out():
                self._run = _compiled(self._function, name, args, self._options)
        return self._run(*args)


def _compiled(
    function: Callable[..., Any],
    made_of: str | None,
    args: Any,
    options: Mapping[str, Any],
    *,
    quick: bool = False,
    message: str = "",
) -> Callable[..., Any]:
    """The function's program for such arguments, loaded from disk if it is there.

    made_of: the digest of what the function is made of, None if there is none. message: logged if it is compiled.
    """
    program, how = for_platform(function), compiler_options(quick=quick)
    key = program_cache.key(made_of, args, how) if made_of else None
    loaded: Callable[..., Any] | None = program_cache.load(key) if key else None
    if loaded is not None:
        return loaded
    if message:
        log.info("net.cpp:260", message)
    options = {**options, "compiler_options": how}
    return program_cache.compiled(program, key, args, **options) if key else jax.jit(program, **options)
