"""Rows picked by number. Their gradient sums what comes back to each row: on a CPU one after the other; on a GPU, whose
threads would add to a row in no order of their own, and make another sum each time, by sorting."""

from functools import partial
from math import prod

import jax
import jax.numpy as jnp
from jax import lax

from engine.ops import platform

Array = jax.Array


@jax.custom_vjp
def pick(x: Array, numbers: Array) -> Array:
    """x (N, …), numbers (M) → x[numbers] (M, …). A number that is no row gives NaN, and no gradient."""
    return jnp.asarray(x).at[numbers].get(mode="fill", fill_value=jnp.nan, wrap_negative_indices=False)


def _pick_fwd(x: Array, numbers: Array) -> tuple[Array, tuple[Array, Array]]:
    return pick(x, numbers), (numbers, jnp.zeros((len(x), 0), x.dtype))  # only how many rows there are


def _pick_bwd(saved: tuple[Array, Array], dy: Array) -> tuple[Array, None]:
    numbers, rows = saved
    return sums(dy.reshape(len(dy), prod(dy.shape[1:])), numbers, len(rows)).reshape(len(rows), *dy.shape[1:]), None


pick.defvjp(_pick_fwd, _pick_bwd)


def sums(values: Array, numbers: Array, rows: int) -> Array:
    """(rows, K): for each number the sum of its values (M, K). What is no number of a row is left out."""
    if not values.size:
        return jnp.zeros((rows, values.shape[1]), values.dtype)
    made: Array = platform.dependent(
        values, numbers, cpu=partial(_added, rows=rows), default=partial(sorted_sums, rows=rows)
    )
    return made


def _added(values: Array, numbers: Array, rows: int) -> Array:
    zeros = jnp.zeros((rows, values.shape[1]), values.dtype)
    return zeros.at[numbers].add(values, mode="drop", wrap_negative_indices=False)


def sorted_sums(values: Array, numbers: Array, rows: int) -> Array:
    """As `sums`, in an order that follows from the numbers alone.

    Sorted, the values of a number lie beside each other; a scan sums up each stretch of them, and its end is found by
    bisection.
    """
    order = jnp.argsort(numbers)
    numbers, values = numbers[order], values[order]
    begins = jnp.concatenate([jnp.ones(1, bool), numbers[1:] != numbers[:-1]])[:, None]
    _, running = lax.associative_scan(_joined, (begins, values))
    wanted = jnp.arange(rows, dtype=numbers.dtype)
    last = jnp.maximum(jnp.searchsorted(numbers, wanted, side="right", method="scan_unrolled") - 1, 0)
    return jnp.where((numbers[last] == wanted)[:, None], running[last], 0)


def _joined(before: tuple[Array, Array], after: tuple[Array, Array]) -> tuple[Array, Array]:
    """Two neighbouring stretches, each with whether a new number begins in it, and the sum since the last one began."""
    (begun, total), (begins, more) = before, after
    return begun | begins, jnp.where(begins, more, total + more)
