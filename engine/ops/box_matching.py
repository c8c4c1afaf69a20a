"""Matches priors or predicted boxes with boxes of the ground truth (Liu et al. 2016, section 2.2)."""

import jax
import jax.numpy as jnp

Array = jax.Array

NONE, OUTSIDE = -1, -2
"""Stand in place of a ground-truth box's number: not matched; left out because the box lies partly outside."""

LEAST = 1e-6
"""Overlaps up to this count as none."""


def match(
    overlaps: Array, group: Array, groups: int, threshold: float | None, outside: Array | None = None
) -> tuple[Array, Array]:
    """The ground-truth row that each box of each group is matched with, and its largest overlap: both (groups, P).

    overlaps (G, P): of each ground-truth row with the P boxes of its group. group (G): a row's group, such as its
    picture; `groups` for a row that does not count. outside (groups, P): boxes that are left out.

    First each row, best overlap first, takes the free box that it overlaps most. Then, if `threshold` is given, each
    remaining box takes the row that it overlaps most, if that overlap is at least `threshold`.
    """
    rows, boxes = overlaps.shape
    counts = group < groups
    start = jnp.full((groups + 1, boxes), NONE)  # the last one is for rows that do not count
    if outside is not None:
        nonempty = jnp.zeros(groups + 1, bool).at[group].set(True)[:groups]
        start = start.at[:groups].set(jnp.where(outside & nonempty[:, None], OUTSIDE, NONE))
    near = jnp.where(counts[:, None] & (overlaps > LEAST) & (start[group] == NONE), overlaps, 0)
    largest = jax.ops.segment_max(near, group, groups + 1)
    far = boxes * rows

    def take(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        matched, open_, _ = state
        free = jnp.where(matched[group] == NONE, near, 0)
        best, at = jnp.max(free, 1), jnp.argmax(free, 1)
        best = jnp.where(open_, best, 0)
        leads = (best > 0) & (best == jax.ops.segment_max(best, group, groups + 1)[group])
        first = jax.ops.segment_min(jnp.where(leads, at * rows + jnp.arange(rows), far), group, groups + 1)
        taking = first < far
        box, row = first // rows, jnp.where(taking, first % rows, rows)
        matched = matched.at[jnp.arange(groups + 1), jnp.where(taking, box, boxes)].set(row, mode="drop")
        return matched, open_.at[row].set(False, mode="drop"), jnp.any(taking)

    matched, _, _ = jax.lax.while_loop(lambda state: state[2], take, (start, counts, jnp.any(counts)))
    if threshold is not None:
        enough = jnp.where(near >= threshold, near, 0)
        leads = (enough > 0) & (enough == jax.ops.segment_max(enough, group, groups + 1)[group])
        numbers = jnp.where(leads, jnp.arange(rows)[:, None], rows)
        first = jax.ops.segment_min(numbers, group, groups + 1)
        matched = jnp.where((matched == NONE) & (first < rows), first, matched)
    return matched[:groups], jnp.maximum(largest[:groups], 0)
