"""Concatenates blobs along an axis and cuts them, in the memory layout of the convolutions next to them."""

from collections.abc import Sequence
from functools import partial
from itertools import accumulate, pairwise

import jax
import jax.numpy as jnp
from jax import lax

from engine.ops.channels import moved, of_maps

Array = jax.Array


def joined(xs: Sequence[Array], axis: int) -> Array:
    """The blobs concatenated along `axis`."""
    dtype = jnp.result_type(*xs)
    return _joined([x.astype(dtype) for x in xs], tuple(accumulate(x.shape[axis] for x in xs[:-1])), axis)


@partial(jax.custom_vjp, nondiff_argnums=(1, 2))
def _joined(xs: list[Array], points: tuple[int, ...], axis: int) -> Array:
    return of_maps(lambda channels, *xs: jnp.concatenate(xs, moved(axis, channels)), *xs)


@partial(jax.custom_vjp, nondiff_argnums=(1, 2))
def cut(x: Array, points: tuple[int, ...], axis: int) -> list[Array]:
    """x cut along `axis` at `points`."""

    def part(begin: int, end: int) -> Array:
        return of_maps(lambda channels, x: lax.slice_in_dim(x, begin, end, axis=moved(axis, channels)), x)

    return [part(begin, end) for begin, end in pairwise((0, *points, x.shape[axis]))]


def _joined_fwd(xs: list[Array], points: tuple[int, ...], axis: int) -> tuple[Array, None]:
    return _joined(xs, points, axis), None


def _joined_bwd(points: tuple[int, ...], axis: int, _: None, dy: Array) -> tuple[list[Array]]:
    return (cut(dy, points, axis),)


def _cut_fwd(x: Array, points: tuple[int, ...], axis: int) -> tuple[list[Array], None]:
    return cut(x, points, axis), None


def _cut_bwd(points: tuple[int, ...], axis: int, _: None, dys: list[Array]) -> tuple[Array]:
    return (_joined(dys, points, axis),)


_joined.defvjp(_joined_fwd, _joined_bwd)
cut.defvjp(_cut_fwd, _cut_bwd)
