"""The loss of a net: Σ loss_weight · Σ top."""

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp

from engine.layers.base import Array


@partial(jax.jit, static_argnums=1)
def total(tops: Sequence[Array], weights: Sequence[float]) -> Array:
    """A float32 scalar. Compiled, as it may stand between layers of the host, where each operation is a call."""
    pairs = zip(tops, weights, strict=True)
    return sum((weight * jnp.sum(full(top)) for top, weight in pairs), jnp.zeros((), jnp.float32))


def full(value: Array) -> Array:
    """A value of low precision as float32."""
    return value if value.dtype == jnp.float32 else value.astype(jnp.promote_types(value.dtype, jnp.float32))
