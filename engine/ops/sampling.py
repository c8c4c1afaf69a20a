"""Samples pictures between their pixels."""

import jax
import jax.numpy as jnp
from jax import Array
from jax.lax import stop_gradient


def bilinear(x: Array, down: Array, across: Array, *, zero_outside: bool) -> Array:
    """x (N, C, H, W) at the places (down, across), both (N, P, Q) in pixels → (N, C, P, Q).

    Of the four pixels around a place, those outside of the picture count as 0 (`zero_outside`) or as the nearest pixel.
    """
    height, width = x.shape[2:]
    top, left = (stop_gradient(jnp.floor(v)) for v in (down, across))
    below, beside = down - top, across - left
    total = jnp.zeros((*x.shape[:2], *down.shape[1:]), x.dtype)
    for row, of_row in ((top, 1 - below), (top + 1, below)):
        for column, of_column in ((left, 1 - beside), (left + 1, beside)):
            weight = of_row * of_column
            if zero_outside:
                weight = jnp.where((row >= 0) & (row < height) & (column >= 0) & (column < width), weight, 0)
            total += weight[:, None] * _pixels(x, jnp.clip(row, 0, height - 1), jnp.clip(column, 0, width - 1))
    return total


def _pixels(x: Array, rows: Array, columns: Array) -> Array:
    """The pixels of each picture at integer places (N, P, Q)."""
    return jax.vmap(lambda picture, i, j: picture[:, i, j])(x, rows.astype(jnp.int32), columns.astype(jnp.int32))
