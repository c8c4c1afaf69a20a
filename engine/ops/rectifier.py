"""The rectifier and sums of blobs, computed in the memory layout of the convolutions next to them.

In most nets, these make the blobs that several layers read. If they computed channels-first, each of these layers would
have to move the channels.
"""

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp

from engine.ops.channels import of_maps

Array = jax.Array


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def rectified(x: Array, slope: float) -> Array:
    """y = x where x > 0, else slope · x, with slope ≥ 0. The gradient at 0 is slope. The sign of y decides which side
    an element is on, so that x need not be kept."""
    return of_maps(lambda _, x: jnp.where(x > 0, x, slope * x), x)


def _rectified_fwd(x: Array, slope: float) -> tuple[Array, Array]:
    y = rectified(x, slope)
    return y, y


def _rectified_bwd(slope: float, y: Array, dy: Array) -> tuple[Array]:
    return (of_maps(lambda _, y, dy: jnp.where(y > 0, dy, slope * dy), y, dy),)


rectified.defvjp(_rectified_fwd, _rectified_bwd)


def weighted_sum(xs: Sequence[Array], scales: tuple[float, ...]) -> Array:
    """Σ scale · x."""
    dtype = jnp.result_type(*xs)
    return _weighted_sum([x.astype(dtype) for x in xs], scales)


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def _weighted_sum(xs: list[Array], scales: tuple[float, ...]) -> Array:
    def form(_: int, *xs: Array) -> Array:
        terms = [x if scale == 1 else scale * x for scale, x in zip(scales, xs, strict=True)]
        return sum(terms[1:], terms[0])

    return of_maps(form, *xs)


def _sum_fwd(xs: list[Array], scales: tuple[float, ...]) -> tuple[Array, None]:
    return _weighted_sum(xs, scales), None


def _sum_bwd(scales: tuple[float, ...], _: None, dy: Array) -> tuple[list[Array]]:
    return ([dy if scale == 1 else scale * dy for scale in scales],)


_weighted_sum.defvjp(_sum_fwd, _sum_bwd)
