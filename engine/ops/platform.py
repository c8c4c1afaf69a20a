"""Forms of an operation that differ from platform to platform."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from engine.ops.trace_flag import TraceFlag

_cpu_alone, _no_cpu = TraceFlag(), TraceFlag()

cpu_alone = _cpu_alone.raised
"""A context: functions traced in it are only for a CPU, and other platforms' forms are left out."""

no_cpu = _no_cpu.raised
"""A context: functions traced in it are for a GPU, and a CPU's forms are left out."""


def dependent(*args: Any, cpu: Callable[..., Any], default: Callable[..., Any]) -> Any:
    """`cpu(*args)` on a CPU, else `default(*args)`. If the platform isn't known, traces both, as
    `lax.platform_dependent` does."""
    if _cpu_alone.up:
        return cpu(*args)
    if _no_cpu.up:
        return default(*args)
    return lax.platform_dependent(*args, cpu=cpu, default=default)


def widened(form: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
    """`form`, with bfloat16 arguments converted to float32, and its result rounded to the type of the first argument.

    For a CPU, where XLA has no fast products of bfloat16, and converts every element for every operation.
    """

    def wide(*arrays: jax.Array | None) -> jax.Array:
        low = jnp.bfloat16
        result = form(*(a.astype(jnp.float32) if a is not None and a.dtype == low else a for a in arrays))
        return result.astype(low) if arrays[0] is not None and arrays[0].dtype == low else result

    return wide
