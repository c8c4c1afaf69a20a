"""Rows picked by number. The gradient sums what comes back to each row: on a CPU one by one; on a GPU by sorting, since
its threads would add to a row in an undefined order, and each run would get another sum."""

from functools import partial
from math import prod

import jax
import jax.numpy as jnp
from jax import lax

from engine.ops import platform

Array = jax.Array


@jax.custom_vjp
def pick(x: Array, numbers: Array) -> Array:
    """x (N, …), numbers (M) → x[numbers] (M, …). A number out of range gives NaN, and no gradient."""
    return jnp.asarray(x).at[numbers].get(mode="fill", fill_value=jnp.nan, wrap_negative_indices=False)


def _pick_fwd(x: Array, numbers: Array) -> tuple[Array, tuple[Array, Array]]:
    return pick(x, numbers), (numbers, jnp.zeros((len(x), 0), x.dtype))  # of x, only the number of rows


def _pick_bwd(saved: tuple[Array, Array], dy: Array) -> tuple[Array, None]:
    numbers, rows = saved
    return sums(dy.reshape(len(dy), prod(dy.shape[1:])), numbers, len(rows)).reshape(len(rows), *dy.shape[1:]), None


pick.defvjp(_pick_fwd, _pick_bwd)


def sums(values: Array, numbers: Array, rows: int) -> Array:
    """(rows, K): for each row, the sum of the values (M, K) with its number. Numbers out of range are left out."""
    if not values.size:
        return jnp.zeros((rows, values.shape[1]), values.dtype)
    totals: Array = platform.dependent(
        values, numbers, cpu=partial(_added, rows=rows), default=partial(sorted_sums, rows=rows)
    )
    return totals


def _added(values: Array, numbers: Array, rows: int) -> Array:
    zeros = jnp.zeros((rows, values.shape[1]), values.dtype)
    return zeros.at[numbers].add(values, mode="drop", wrap_negative_indices=False)


def sorted_sums(values: Array, numbers: Array, rows: int) -> Array:
    """Like `sums`, added in an order that depends only on the numbers.

    Sorting puts the values of each number next to each other; a scan sums each such run, and bisection finds its end.
    """
    order = jnp.argsort(numbers)
    numbers, values = numbers[order], values[order]
    begins = jnp.concatenate([jnp.ones(1, bool), numbers[1:] != numbers[:-1]])[:, None]
    _, running = lax.associative_scan(_joined, (begins, values))
    row_numbers = jnp.arange(rows, dtype=numbers.dtype)
    last = jnp.maximum(jnp.searchsorted(numbers, row_numbers, side="right", method="scan_unrolled") - 1, 0)
    return jnp.where((numbers[last] == row_numbers)[:, None], running[last], 0)


def _joined(before: tuple[Array, Array], after: tuple[Array, Array]) -> tuple[Array, Array]:
    """Joins two neighbouring stretches: whether a new number begins in each, and the sum since the last one began."""
    (begun, total), (begins, next_total) = before, after
    return begun | begins, jnp.where(begins, next_total, total + next_total)
