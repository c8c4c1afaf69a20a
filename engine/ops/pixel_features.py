"""Where a picture's pixels lie and what colours they have, as points that filters weigh by their distances."""

import jax
import jax.numpy as jnp

Array = jax.Array


def places(rows: int, columns: int, dtype: jnp.dtype) -> Array:
    """(rows · columns, 2): the column and the row of each pixel, row by row."""
    row, column = jnp.divmod(jnp.arange(rows * columns, dtype=jnp.int32), columns)
    return jnp.stack([column, row], axis=1).astype(dtype)


def colours(picture: Array) -> Array:
    """(H · W, 3): the first three channels of a picture (C, H, W)."""
    return picture[:3].reshape(3, -1).T
