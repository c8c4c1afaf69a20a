"""Forms of an operation that differ from platform to platform."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax
from jax import lax

_make_context = getattr(jax, "make_user_context", None)
_cpu_alone = _make_context(False) if _make_context else None
"""Whether what is traced now is for a CPU; JAX tells by it apart what it has traced. Older versions have none."""


@contextmanager
def cpu_alone() -> Iterator[None]:
    """What is traced within is for a CPU and nothing else: other platforms' forms are left out."""
    if _cpu_alone is None:
        yield
        return
    with _cpu_alone(True):
        yield


def dependent(*args: Any, cpu: Callable[..., Any], default: Callable[..., Any]) -> Any:
    """`cpu(*args)` on a CPU, else `default(*args)`: `lax.platform_dependent`, which traces both, where it is needed."""
    if _cpu_alone is not None and _cpu_alone.value:
        return cpu(*args)
    return lax.platform_dependent(*args, cpu=cpu, default=default)
