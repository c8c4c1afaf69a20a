"""Forms of an operation that differ from platform to platform."""

from collections.abc import Callable
from typing import Any

from jax import lax

from engine.ops.trace_flag import TraceFlag

_cpu_alone, _no_cpu = TraceFlag(), TraceFlag()

cpu_alone = _cpu_alone.raised
"""What is traced within is for a CPU and nothing else: other platforms' forms are left out."""

no_cpu = _no_cpu.raised
"""What is traced within is for a GPU: a CPU's forms are left out."""


def dependent(*args: Any, cpu: Callable[..., Any], default: Callable[..., Any]) -> Any:
    """`cpu(*args)` on a CPU, else `default(*args)`: `lax.platform_dependent`, which traces both, where it is needed."""
    if _cpu_alone.up:
        return cpu(*args)
    if _no_cpu.up:
        return default(*args)
    return lax.platform_dependent(*args, cpu=cpu, default=default)
