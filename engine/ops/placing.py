"""Values put back to where a pooling took them from."""

from functools import partial

import jax
import jax.numpy as jnp

Array = jax.Array


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def put(x: Array, where: Array, size: int) -> Array:
    """(..., size): x's values at the places that `where` tells, both (..., n), and 0 elsewhere.

    Of several values at one place the last counts, and each of them gets that place's gradient. A row with a place
    that is not there is NaN as a whole.
    """
    return _put(x, where, size)


def _put(x: Array, where: Array, size: int) -> Array:
    rows, places = x.reshape(-1, x.shape[-1]), where.reshape(-1, x.shape[-1])
    row = jnp.arange(len(rows))[:, None]
    # The greatest source is found first: what a scatter with repeated places leaves is not defined.
    source = (
        jnp.full((len(rows), size), -1, jnp.int32)
        .at[row, places]
        .max(jnp.arange(x.shape[-1], dtype=jnp.int32), mode="drop")
    )
    there = jnp.all((places >= 0) & (places < size), axis=1, keepdims=True)
    filled = jnp.where(source < 0, 0, jnp.take_along_axis(rows, jnp.maximum(source, 0), axis=1))
    return jnp.where(there, filled, jnp.nan).reshape(*x.shape[:-1], size)


def _put_fwd(x: Array, where: Array, size: int) -> tuple[Array, Array]:
    return _put(x, where, size), where


def _put_bwd(size: int, where: Array, dy: Array) -> tuple[Array, None]:
    return jnp.take_along_axis(dy, where, axis=-1, mode="fill"), None


put.defvjp(_put_fwd, _put_bwd)
