"""Products and quotients rounded as they are written down.

Compilers round a product and the sum that it goes into at once, and multiply by reciprocals of what they know: mostly
that is as good. It is not where the last bit decides on which side of a border something lies, and another program's
answer is to be had. What follows hides a number's origin from them, by a bit that is always 0.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

Array = jax.Array


def rounded(x: Array) -> Array:
    """x, rounded before it goes into anything else. It has no gradient."""
    return lax.bitcast_convert_type(_bits(x) ^ _nothing(x), x.dtype)


def divided(x: Array, by: float) -> Array:
    """x / by, rounded once. It has no gradient."""
    divisor = np.asarray(by, x.dtype).view(f"i{x.dtype.itemsize}")
    return x / lax.bitcast_convert_type(divisor ^ _nothing(x), x.dtype)


def _nothing(x: Array) -> Array:
    """0 for each x, by whose bits n it is the last bit of n (n + 1), which is even."""
    n = _bits(x)
    return n * (n + 1) & 1


def _bits(x: Array) -> Array:
    return lax.bitcast_convert_type(x, jnp.dtype(f"i{x.dtype.itemsize}"))
