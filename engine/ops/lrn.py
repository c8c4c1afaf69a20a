"""Local response normalisation: y = x · s^−β with s = k + α · Σ x² over neighbours."""

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from engine.ops.channels import moved, where_fastest

Array = jax.Array

WIDE = 64
"""With more neighbours on each side, their sum is left to XLA's windowed reduction."""


def normalize_across(x: Array, size: int, alpha: float, beta: float, k: float) -> Array:
    """Normalizes over `size` neighbours along axis 1: s = k + α/size · Σ x². x (N, C, …)."""
    return _normalize(x, (1,), size, alpha / size, beta, k)


def normalize_within(x: Array, size: int, alpha: float, beta: float) -> Array:
    """Normalizes over `size` × `size` neighbours along axes 2 and 3: s = 1 + α/size² · Σ x². x (N, C, H, W)."""
    return _normalize(x, (2, 3), size, alpha / size**2, beta, 1.0)


@partial(jax.custom_vjp, nondiff_argnums=(1, 2, 3, 4, 5))
def _normalize(x: Array, axes: tuple[int, ...], size: int, alpha: float, beta: float, k: float) -> Array:
    def form(channels: int, x: Array) -> Array:
        over = [moved(axis, channels) for axis in axes]
        return x * _power(k + alpha * _neighbours(x * x, over, size), -beta)

    return where_fastest(form, x)


def _normalize_fwd(
    x: Array, axes: tuple[int, ...], size: int, alpha: float, beta: float, k: float
) -> tuple[Array, Array]:
    return _normalize(x, axes, size, alpha, beta, k), x


def _normalize_bwd(
    axes: tuple[int, ...], size: int, alpha: float, beta: float, k: float, x: Array, dy: Array
) -> tuple[Array]:
    """dx = dy · s^−β − 2 α β x · Σ (dy · x · s^(−β−1)), summed over the same neighbours."""

    def form(channels: int, x: Array, dy: Array) -> Array:
        over = [moved(axis, channels) for axis in axes]
        s = k + alpha * _neighbours(x * x, over, size)
        scale = _power(s, -beta)
        return dy * scale - (2 * alpha * beta) * x * _neighbours(dy * x * scale / s, over, size)

    return (where_fastest(form, x, dy),)


_normalize.defvjp(_normalize_fwd, _normalize_bwd)


def _power(s: Array, exponent: float) -> Array:
    """s^exponent; the usual −3/4 by roots, which vectorise, unlike a general power."""
    if exponent == -0.75:
        root = lax.rsqrt(s)
        return root * jnp.sqrt(root)
    return jnp.power(s, exponent)


def _neighbours(x: Array, axes: Sequence[int], size: int) -> Array:
    """The sum over `size` neighbours (odd, centred on the element) along each of `axes`; 0 beyond the ends.

    Adds shifted copies: faster than a windowed reduction, a cumulative sum or a product with a band matrix, but each
    one is an operation to compile.
    """
    for axis in axes:
        reach = min(size // 2, max(x.shape[axis] - 1, 0))
        config = [(0, 0, 0)] * x.ndim
        config[axis] = (reach, reach, 0)
        padded = lax.pad(x, jnp.zeros((), x.dtype), config)
        if reach > WIDE:
            over = [1] * x.ndim
            over[axis] = 2 * reach + 1
            x = lax.reduce_window(padded, np.zeros((), x.dtype), lax.add, over, [1] * x.ndim, "VALID")
            continue
        shifted = [lax.slice_in_dim(padded, i, i + x.shape[axis], axis=axis) for i in range(2 * reach + 1)]
        x = sum(shifted[1:], shifted[0])
    return x
