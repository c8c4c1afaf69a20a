"""Products and quotients rounded as they are written down.

Compilers round a product and the sum that it goes into at once, multiply by reciprocals of what they know, and divide
on a GPU with an error of up to two units in the last place: mostly that is as good. It is not where the last bit
decides on which side of a border something lies, and another program's answer is to be had.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

Array = jax.Array

HALF = np.int32(~0xFFF)
"""The upper 12 of a float32's 24 bits: products of halves are exact."""


def rounded(x: Array) -> Array:
    """x, rounded before it goes into anything else. It has no gradient.

    A bit that is always 0 hides from the compiler where the number comes from.
    """
    return lax.bitcast_convert_type(_bits(x) ^ _nothing(x), x.dtype)


def divided(x: Array, by: float | Array) -> Array:
    """x / by in float32, rounded once."""
    divisor = jnp.asarray(by, x.dtype)
    return corrected(x / divisor, x, divisor)


def corrected(quotient: Array, x: Array, by: Array) -> Array:
    """x / by, rounded once, from a `quotient` that is off by some units in the last place.

    What is left of x is exact (T. J. Dekker, "A floating-point technique for extending the available precision", 1971).
    Where the quotient is not finite, it stays.
    """
    upper, divisor = _upper(quotient), _upper(by)
    lower, rest = quotient - upper, by - divisor
    left = ((x - upper * divisor) - upper * rest - lower * divisor) - lower * rest
    return quotient + lax.stop_gradient(jnp.where(jnp.isfinite(left), left / by, 0))


def _upper(x: Array) -> Array:
    return lax.bitcast_convert_type(_bits(x) & HALF, x.dtype)


def _nothing(x: Array) -> Array:
    """0 for each x, by whose bits n it is the last bit of n (n + 1), which is even."""
    n = _bits(x)
    return n * (n + 1) & 1


def _bits(x: Array) -> Array:
    return lax.bitcast_convert_type(x, jnp.dtype(f"i{x.dtype.itemsize}"))
