"""Takes elements of an axis at places known in advance, where some may occur several times or not at all."""

from collections.abc import Iterable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array


def repeated(x: Array, places: Iterable[int], axis: int) -> Array:
    """x at `places` of an axis. An element's gradient is the sum over its copies, in order; a scatter on a GPU would
    add them in undefined order."""
    return _repeated(x, tuple(map(int, places)), axis, x.shape[axis])


@partial(jax.custom_vjp, nondiff_argnums=(1, 2, 3))
def _repeated(x: Array, places: tuple[int, ...], axis: int, size: int) -> Array:
    """size: the size of the axis, which the gradient cannot infer from the places."""
    return jnp.take(x, np.asarray(places), axis)


def _forward(x: Array, places: tuple[int, ...], axis: int, size: int) -> tuple[Array, None]:
    return _repeated(x, places, axis, size), None


def _backward(places: tuple[int, ...], axis: int, size: int, _: None, dy: Array) -> tuple[Array]:
    copies = [np.flatnonzero(np.equal(places, i)) for i in range(size)]
    table = np.full((size, max(map(len, copies))), -1)
    for i, of_one in enumerate(copies):
        table[i, : len(of_one)] = of_one
    present = np.reshape(table >= 0, (*table.shape, *[1] * (dy.ndim - axis - 1)))
    return (jnp.where(present, jnp.take(dy, np.maximum(table, 0), axis), 0).sum(axis + 1),)


_repeated.defvjp(_forward, _backward)
