"""Batch normalisation (Ioffe and Szegedy 2015) and its scale, with gradients that read each blob seldom.

Blobs x, y (N, C, …); numbers a channel (C).
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
    """y, and μ and σ², the batch's, through which no gradient goes."""

    y: Array
    mean: Array
    variance: Array


class _Saved(NamedTuple):
    """What the gradient needs of the pass. slope: what x − μ is multiplied by."""

    x: Array
    mean: Array
    inverse: Array
    scale: Array | None
    shift: Array | None
    slope: Array


@partial(jax.custom_vjp, nondiff_argnums=(3, 4))
def normalize_batch(x: Array, scale: Array | None, shift: Array | None, eps: float, rectify: bool) -> Normalized:
    """y = (x − μ) / √(σ² + eps) (· scale) (+ shift), and with `rectify` 0 where that is no more than 0."""
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
    """μ and σ² (C) of x; a GPU, whose time is that of reading, reads x once for both.

    There they come of the sums of x − p and (x − p)², p being the first item's mean. That is no further than √N σ from
    the mean of all N, so that σ² is as exact as N units in the last place.
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

    made: tuple[Array, Array] = platform.dependent(x, cpu=by_two, default=at_once)
    return made


def _normalize_bwd(
    eps: float, rectify: bool, saved: _Saved, given: Normalized
) -> tuple[Array, Array | None, Array | None]:
    """dx = (dy − Σ dy / m − ŷ Σ (dy · ŷ) / m) · slope with ŷ = (x − μ) / σ; scale and shift have the same two sums.

    Rectified, dy is cut first, where y would be 0: computed once more, y need not be read.
    """
    x, dy, m = saved.x, given.y, _values(saved.x)

    def rectified(channels: int, x: Array, dy: Array) -> Array:
        kept = jnp.where(_scaled(saved, _laid(channels, x), x) > 0, dy, 0 * dy)
        return kept if channels == 1 else lax.optimization_barrier(kept)  # or each of its readers computes it

    if rectify:
        dy = of_maps(rectified, x, dy)
    total = sums(lambda _, dy: dy, dy)
    mean = stored(saved.mean)  # or XLA lays it along x once for both passes, in an array of x's size
    moment = sums(lambda along, dy, x: dy * (x - along(mean)), dy, x)

    def form(channels: int, x: Array, dy: Array) -> Array:
        laid = _laid(channels, x)
        steep = laid(saved.slope * saved.inverse**2 * moment / m)
        return dy * laid(saved.slope) - (x - laid(saved.mean)) * steep - laid(saved.slope * total / m)

    return (
        of_maps(form, x, dy),
        None if saved.scale is None else moment * saved.inverse,
        None if saved.shift is None else total,
    )


normalize_batch.defvjp(_normalize_fwd, _normalize_bwd)


def _scaled(saved: _Saved, laid: Callable[[Array], Array], x: Array) -> Array:
    y = (x - laid(saved.mean)) * laid(saved.slope)
    return y if saved.shift is None else y + laid(saved.shift)


def _laid(channels: int, x: Array) -> Callable[[Array], Array]:
    """Lays (C) along x's channels, which are in that axis."""
    return lambda values: along(values, x) if channels == 1 else values


def _values(x: Array) -> int:
    """So many values there are a channel; 1 where there are none."""
    return max(1, x.size // max(1, x.shape[1]))


@jax.custom_vjp
def scale_channels(x: Array, s: Array, b: Array | None) -> Array:
    """y = x · s (+ b), each channel by its own."""

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
