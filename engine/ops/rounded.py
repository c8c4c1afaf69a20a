"""Products and quotients that are rounded exactly where the code says so.

Compilers fuse a product with the sum that it goes into (one rounding instead of two), multiply by the reciprocals of
constants, and divide on a GPU with an error of up to two units in the last place. Usually that is fine, but not where
the last bit decides on which side of a border something is, and the result has to match another program's.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

Array = jax.Array

HALF = np.int32(~0xFFF)
"""A mask for the upper 12 of a float32's 24 significant bits: products of such halves are exact."""


def rounded(x: Array) -> Array:
    """x, rounded before anything else uses it. It has no gradient.

    XOR with a bit that is always 0 hides from the compiler where the number comes from.
    """
    return lax.bitcast_convert_type(_bits(x) ^ _nothing(x), x.dtype)


def divided(x: Array, by: float | Array) -> Array:
    """x / by in float32, rounded once."""
    divisor = jnp.asarray(by, x.dtype)
    return corrected(x / divisor, x, divisor)


def corrected(quotient: Array, x: Array, by: Array) -> Array:
    """x / by, rounded once, from a `quotient` that is off by a few units in the last place.

    The remainder is exact (T. J. Dekker, "A floating-point technique for extending the available precision", 1971). A
    quotient that is not finite is returned as it is.
    """
    upper, divisor = _upper(quotient), _upper(by)
    lower, rest = quotient - upper, by - divisor
    remainder = ((x - upper * divisor) - upper * rest - lower * divisor) - lower * rest
    return quotient + lax.stop_gradient(jnp.where(jnp.isfinite(remainder), remainder / by, 0))


def _upper(x: Array) -> Array:
    return lax.bitcast_convert_type(_bits(x) & HALF, x.dtype)


def _nothing(x: Array) -> Array:
    """0 for each x: with its bits n, the last bit of n (n + 1), which is always even."""
    n = _bits(x)
    return n * (n + 1) & 1


def _bits(x: Array) -> Array:
    return lax.bitcast_convert_type(x, jnp.dtype(f"i{x.dtype.itemsize}"))
