"""The two halves of batch normalisation (Ioffe and Szegedy 2015), with gradients that read each blob seldom.

Blobs x, y (N, C, …); numbers a channel (C).
"""

from functools import partial

import jax
from jax import lax

from engine.ops.channels import along, sums

Array = jax.Array
Statistics = tuple[Array, Array, Array]


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def normalize_batch(x: Array, eps: float) -> Statistics:
    """y = (x − μ) / √(σ² + eps), and μ and σ², the batch's, through which no gradient goes."""
    return _normalize_fwd(x, eps)[0]


def _normalize_fwd(x: Array, eps: float) -> tuple[Statistics, Statistics]:
    m = max(1, x.size // max(1, x.shape[1]))
    mean = sums(lambda _, x: x, x) / m
    variance = sums(lambda along, x: (x - along(mean)) ** 2, x) / m
    inverse = lax.rsqrt(variance + eps)
    return ((x - along(mean, x)) * along(inverse, x), mean, variance), (x, mean, inverse)


def _normalize_bwd(eps: float, saved: Statistics, given: Statistics) -> tuple[Array]:
    """dx = (dy − Σ dy / m − ŷ Σ (dy · ŷ) / m) / σ with ŷ = (x − μ) / σ, whose sums take one look at x and dy."""
    (x, mean, inverse), dy = saved, given[0]
    m = max(1, x.size // max(1, x.shape[1]))
    shift = sums(lambda _, dy: dy, dy) / m
    slope = sums(lambda along, dy, x: dy * (x - along(mean)), dy, x) * inverse**2 / m
    return ((dy - along(shift, x) - (x - along(mean, x)) * along(slope, x)) * along(inverse, x),)


normalize_batch.defvjp(_normalize_fwd, _normalize_bwd)


@jax.custom_vjp
def scale_channels(x: Array, s: Array, b: Array | None) -> Array:
    """y = x · s (+ b), each channel by its own."""
    y = x * along(s, x)
    return y if b is None else y + along(b, x)


def _scale_fwd(x: Array, s: Array, b: Array | None) -> tuple[Array, tuple[Array, Array, Array | None]]:
    return scale_channels(x, s, b), (x, s, b)


def _scale_bwd(saved: tuple[Array, Array, Array | None], dy: Array) -> tuple[Array, Array, Array | None]:
    x, s, b = saved
    return dy * along(s, x), sums(lambda _, dy, x: dy * x, dy, x), sums(lambda _, dy: dy, dy) if b is not None else None


scale_channels.defvjp(_scale_fwd, _scale_bwd)
