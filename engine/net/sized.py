"""Compiled functions whose arguments come in several sizes, as pictures do that are never resized."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from engine import log

KEPT = 64
"""Programs that a function keeps, one for each set of sizes: those used last."""

OFTEN = 16
"""Uses of a size after which it is worth to be compiled with all of XLA's optimizations."""

QUICK = {
    "xla_backend_optimization_level": 0,
    "xla_cpu_use_fusion_emitters": False,
    "xla_cpu_parallel_codegen_split_count": 1,
}
"""On a CPU, sizes are compiled so at first: measured on eight small convolutions, their pass takes 0.13 s instead of
0.9 to compile, and 7 ms instead of 4 to run. Most of what a large layer computes is in libraries, and runs as fast."""


@dataclass
class _Program:
    run: Callable[..., Any]
    quick: bool
    uses: int = 0


class Sized:
    """`jax.jit` of a function, with a program for each set of its arguments' shapes.

    The first shapes get all of XLA's optimizations, others when they have been used `OFTEN` times; with `varied`, those
    too that come first. `name` is how the log calls what is compiled.
    """

    def __init__(self, function: Callable[..., Any], name: str, *, varied: bool = False, **options: Any) -> None:
        self._function, self._name, self._options = function, name, options
        self._varied = varied
        self._programs: OrderedDict[tuple[tuple[int, ...], ...], _Program] = OrderedDict()

    def __call__(self, *args: Any) -> Any:
        shapes = tuple(np.shape(leaf) for leaf in jax.tree.leaves(args))
        program = self._programs.get(shapes)
        if program is None:
            program = self._programs[shapes] = self._new()
            if len(self._programs) > KEPT:
                self._programs.popitem(last=False)
        elif len(self._programs) > 1:
            self._programs.move_to_end(shapes)
        program.uses += 1
        if program.quick and program.uses == OFTEN:
            log.info("net.cpp:260", f"Compiling {self._name} for a size that comes often, to run faster.")
            program.run, program.quick = self._compiled(quick=False), False
        return program.run(*args)

    def _new(self) -> _Program:
        quick = self._varied or bool(self._programs)
        if quick:
            log.info("net.cpp:260", f"Compiling {self._name} for another size of its inputs.")
        return _Program(self._compiled(quick=quick), quick)

    def _compiled(self, *, quick: bool) -> Callable[..., Any]:
        def sized(*args: Any) -> Any:  # JAX keeps what it compiled for as long as there is this function
            return self._function(*args)

        return jax.jit(sized, compiler_options=QUICK if quick and on_cpu() else None, **self._options)


def on_cpu() -> bool:
    """Whether what is compiled now is for a CPU."""
    device = jax.config.values.get("jax_default_device")
    return str(getattr(device, "platform", device or jax.default_backend())) == "cpu"
