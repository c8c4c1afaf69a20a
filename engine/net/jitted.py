"""`jax.jit` for the device of now: of an operation's forms only its own are traced, and XLA is told how to compile."""

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
"""On a CPU, sizes are compiled so at first: measured on eight small convolutions, their pass takes 0.10 s instead of
0.8 to compile, and 9.4 ms instead of 8.0 to run: most of what large layers compute is in libraries."""

GPU = {"xla_gpu_exclude_nondeterministic_ops": True}
"""On a GPU, of a library's algorithms those alone that add up in the same order every time, or a resumed run would not
go on as the first did. There are fewer to try out: measured on an H200 (TF32), CIFAR-10's step is ready after 3.8 s
instead of 18.5, and takes 1.5 to 1.6 ms instead of 1.3."""


def jitted(function: Callable[..., Any], **options: Any) -> jax.stages.Wrapped:
    """`jax.jit` with those options. Called, the function is for the device of that time."""
    return jax.jit(for_platform(function), compiler_options=compiler_options(), **options)


def compiler_options(*, quick: bool = False) -> dict[str, Any] | None:
    """XLA's options for the device of now. quick: compiled soon rather than well, where there is such a way.

    What XLA_FLAGS sets is the user's.
    """
    if on_cpu():
        return known(QUICK) if quick else None
    flags = os.environ.get("XLA_FLAGS", "")
    return known({name: value for name, value in GPU.items() if name not in flags})


def known(options: Mapping[str, Any]) -> dict[str, Any]:
    """Those of XLA's options that this jaxlib has: they come and go from version to version."""
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
    """The function, of whose forms for other platforms than that of now nothing is traced."""

    def program(*args: Any) -> Any:
        with platform.cpu_alone() if on_cpu() else platform.no_cpu():
            return function(*args)

    return program


def on_cpu() -> bool:
    """Whether what is compiled now is for a CPU."""
    device = jax.config.values.get("jax_default_device")
    return str(getattr(device, "platform", device or jax.default_backend())) == "cpu"
