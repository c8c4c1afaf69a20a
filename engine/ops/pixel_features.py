"""The positions and colours of a picture's pixels, as points for filters that weigh them by distance."""

import jax
import jax.numpy as jnp

Array = jax.Array


def places(rows: int, columns: int, dtype: jnp.dtype) -> Array:
    """(rows · columns, 2): the column and row of each pixel, in row-major order."""
    row, column = jnp.divmod(jnp.arange(rows * columns, dtype=jnp.int32), columns)
    return jnp.stack([column, row], axis=1).astype(dtype)


def colours(picture: Array) -> Array:
    """(H · W, 3): the first three channels of a picture (C, H, W)."""
    return picture[:3].reshape(3, -1).T
