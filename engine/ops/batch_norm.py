"""Batch normalisation (Ioffe and Szegedy 2015) and its scale, with gradients that read each blob as rarely as possible.

Blobs x, y (N, C, …); values per channel (C).
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from engine.ops import platform
from engine.ops.channels import along, of_maps, stored, sums

Array = jax.Array


class Normalized(NamedTuple):
    """y, and the batch's μ and σ², through which no gradient flows."""

    y: Array
    mean: Array
    variance: Array


class _Saved(NamedTuple):
    """What the backward pass needs from the forward pass. slope: the factor of x − μ."""

    x: Array
    mean: Array
    inverse: Array
    scale: Array | None
    shift: Array | None
    slope: Array


@partial(jax.custom_vjp, nondiff_argnums=(3, 4))
def normalize_batch(x: Array, scale: Array | None, shift: Array | None, eps: float, rectify: bool) -> Normalized:
    """y = (x − μ) / √(σ² + eps) (· scale) (+ shift); with `rectify`, 0 where that is not positive."""
    return _normalize_fwd(x, scale, shift, eps, rectify)[0]


def _normalize_fwd(
    x: Array, scale: Array | None, shift: Array | None, eps: float, rectify: bool
) -> tuple[Normalized, _Saved]:
    mean, variance = _moments(x)
    inverse = lax.rsqrt(variance + eps)
    saved = _Saved(x, mean, inverse, scale, shift, inverse if scale is None else inverse * scale)

    def form(channels: int, x: Array) -> Array:
        y = _scaled(saved, _laid(channels, x), x)
        return jnp.where(y > 0, y, 0 * y) if rectify else y

    return Normalized(of_maps(form, x), mean, variance), saved


def _moments(x: Array) -> tuple[Array, Array]:
    """μ and σ² (C) of x. A GPU, whose time goes into reading memory, reads x once for both.

    There they follow from the sums of x − p and (x − p)², where p is the mean of the first item. p is within √N σ of
    the mean of all N items, so σ² is exact to N units in the last place.
    """
    m = _values(x)

    def by_two(x: Array) -> tuple[Array, Array]:
        mean = sums(lambda _, x: x, x) / m
        return mean, sums(lambda along, x: (x - along(mean)) ** 2, x) / m

    def at_once(x: Array) -> tuple[Array, Array]:
        one = x[:1]
        pilot = sums(lambda _, x: x, one) / _values(one)
        first, second = (sums(lambda along, x, p=p: (x - along(pilot)) ** p, x) / m for p in (1, 2))
        return pilot + first, jnp.maximum(second - first**2, 0)

    moments: tuple[Array, Array] = platform.dependent(x, cpu=by_two, default=at_once)
    return moments


def _normalize_bwd(
    eps: float, rectify: bool, saved: _Saved, cotangents: Normalized
) -> tuple[Array, Array | None, Array | None]:
    """dx = (dy − Σ dy / m − ŷ Σ (dy · ŷ) / m) · slope with ŷ = (x − μ) / σ; scale and shift need the same two sums.

    With `rectify`, dy is first set to 0 where y is; y is computed again for this, so that it need not be read.
    """
    x, dy, m = saved.x, cotangents.y, _values(saved.x)

    def rectified(channels: int, x: Array, dy: Array) -> Array:
        masked = jnp.where(_scaled(saved, _laid(channels, x), x) > 0, dy, 0 * dy)
        return masked if channels == 1 else lax.optimization_barrier(masked)  # otherwise each reader computes it again

    if rectify:
        dy = of_maps(rectified, x, dy)
    total = sums(lambda _, dy: dy, dy)
    mean = stored(saved.mean)  # otherwise XLA broadcasts it once for both passes, into an array of x's size
    moment = sums(lambda along, dy, x: dy * (x - along(mean)), dy, x)

    def form(channels: int, x: Array, dy: Array) -> Array:
        along = _laid(channels, x)
        steep = along(saved.slope * saved.inverse**2 * moment / m)
        return dy * along(saved.slope) - (x - along(saved.mean)) * steep - along(saved.slope * total / m)

    return (
        of_maps(form, x, dy),
        None if saved.scale is None else moment * saved.inverse,
        None if saved.shift is None else total,
    )


normalize_batch.defvjp(_normalize_fwd, _normalize_bwd)


def _scaled(saved: _Saved, along: Callable[[Array], Array], x: Array) -> Array:
    y = (x - along(saved.mean)) * along(saved.slope)
    return y if saved.shift is None else y + along(saved.shift)


def _laid(channels: int, x: Array) -> Callable[[Array], Array]:
    """Returns a function that shapes values (C) to be broadcast along axis `channels` of x."""
    return lambda values: along(values, x) if channels == 1 else values


def _values(x: Array) -> int:
    """The number of values per channel; 1 if there are none."""
    return max(1, x.size // max(1, x.shape[1]))


@jax.custom_vjp
def scale_channels(x: Array, s: Array, b: Array | None) -> Array:
    """y = x · s (+ b), with one s and b per channel."""

    def form(channels: int, x: Array) -> Array:
        y = x * _laid(channels, x)(s)
        return y if b is None else y + _laid(channels, x)(b)

    return of_maps(form, x)


def _scale_fwd(x: Array, s: Array, b: Array | None) -> tuple[Array, tuple[Array, Array, Array | None]]:
    return scale_channels(x, s, b), (x, s, b)


def _scale_bwd(saved: tuple[Array, Array, Array | None], dy: Array) -> tuple[Array, Array, Array | None]:
    x, s, b = saved
    dx = of_maps(lambda channels, dy: dy * _laid(channels, dy)(s), dy)
    return dx, sums(lambda _, dy, x: dy * x, dy, x), None if b is None else sums(lambda _, dy: dy, dy)


scale_channels.defvjp(_scale_fwd, _scale_bwd)
