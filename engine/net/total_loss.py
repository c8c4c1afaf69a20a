"""The loss of a net: Σ loss_weight · Σ top."""

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp

from engine.layers.base import Array


@partial(jax.jit, static_argnums=1)
def total(tops: Sequence[Array], weights: Sequence[float]) -> Array:
    """The loss, a float32 scalar. Compiled on its own: in a net with host layers, each operation would be a call."""
    pairs = zip(tops, weights, strict=True)
    return sum((weight * jnp.sum(full(top)) for top, weight in pairs), jnp.zeros((), jnp.float32))


def full(value: Array) -> Array:
    """`value` as float32 if its precision is lower."""
    return value if value.dtype == jnp.float32 else value.astype(jnp.promote_types(value.dtype, jnp.float32))
