"""Unpooling: puts values back where a pooling took them from."""

from functools import partial

import jax
import jax.numpy as jnp

Array = jax.Array


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def put(x: Array, where: Array, size: int) -> Array:
    """(..., size): the values of x at the places `where`, both (..., n), and 0 elsewhere.

    Of several values for one place, the last is used, but each of them gets that place's gradient. If any place of a
    row is out of range, the whole row is NaN.
    """
    return _put(x, where, size)


def _put(x: Array, where: Array, size: int) -> Array:
    rows, places = x.reshape(-1, x.shape[-1]), where.reshape(-1, x.shape[-1])
    row = jnp.arange(len(rows))[:, None]
    # The greatest source is found first: the result of a scatter with repeated places is undefined.
    source = (
        jnp.full((len(rows), size), -1, jnp.int32)
        .at[row, places]
        .max(jnp.arange(x.shape[-1], dtype=jnp.int32), mode="drop")
    )
    in_range = jnp.all((places >= 0) & (places < size), axis=1, keepdims=True)
    filled = jnp.where(source < 0, 0, jnp.take_along_axis(rows, jnp.maximum(source, 0), axis=1))
    return jnp.where(in_range, filled, jnp.nan).reshape(*x.shape[:-1], size)


def _put_fwd(x: Array, where: Array, size: int) -> tuple[Array, Array]:
    return _put(x, where, size), where


def _put_bwd(size: int, where: Array, dy: Array) -> tuple[Array, None]:
    return jnp.take_along_axis(dy, where, axis=-1, mode="fill"), None


put.defvjp(_put_fwd, _put_bwd)
