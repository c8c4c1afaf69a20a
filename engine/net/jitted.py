"""`jax.jit` for the current device: traces only the forms of an operation meant for it, and sets XLA's options."""

import os
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from engine.ops import platform

QUICK = {
    "xla_backend_optimization_level": 0,
    "xla_cpu_use_fusion_emitters": False,
    "xla_cpu_parallel_codegen_split_count": 1,
}
"""XLA's options for the first compilation of a size on a CPU. Measured on a pass of eight small convolutions: 0.10 s
instead of 0.8 to compile, and 9.4 ms instead of 8.0 to run, as libraries do most of the work of large layers."""

GPU = {"xla_gpu_exclude_nondeterministic_ops": True}
"""On a GPU, only those library algorithms that always add up in the same order; otherwise a resumed run would differ
from an uninterrupted one. This also leaves fewer to try out: measured on an H200 (TF32), CIFAR-10's step is ready
after 3.8 s instead of 18.5, and takes 1.5 to 1.6 ms instead of 1.3."""


def jitted(function: Callable[..., Any], **options: Any) -> jax.stages.Wrapped:
    """`jax.jit` with `options`; the function is traced for the device that is current when it is called."""
    return jax.jit(for_platform(function), compiler_options=compiler_options(), **options)


def compiler_options(*, quick: bool = False) -> dict[str, Any] | None:
    """XLA's options for the current device. quick: compile fast rather than optimize, where the device has a choice.

    Options that the user sets in XLA_FLAGS are left out.
    """
    if on_cpu():
        return known(QUICK) if quick else None
    flags = os.environ.get("XLA_FLAGS", "")
    return known({name: value for name, value in GPU.items() if name not in flags})


def known(options: Mapping[str, Any]) -> dict[str, Any]:
    """The subset of `options` that this jaxlib accepts: XLA's options come and go from version to version."""
    if _taken(**options):
        return dict(options)
    return {name: value for name, value in options.items() if _taken(**{name: value})}


@cache
def _taken(**options: Any) -> bool:
    try:
        jax.jit(jnp.negative, compiler_options=options).lower(np.float32(0)).compile()
    except jax.errors.JaxRuntimeError:
        return False
    return True


def for_platform(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, with only the forms traced that are meant for the current platform."""

    def program(*args: Any) -> Any:
        with platform.cpu_alone() if on_cpu() else platform.no_cpu():
            return function(*args)

    return program


def on_cpu() -> bool:
    """Whether functions are currently compiled for a CPU."""
    device = jax.config.values.get("jax_default_device")
    return str(getattr(device, "platform", device or jax.default_backend())) == "cpu"
