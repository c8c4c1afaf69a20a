"""Connectionist temporal classification: the likelihood of a sequence of labels, and the most probable path."""

import jax
import jax.numpy as jnp
from jax import Array

NEVER = -1e30
"""Stands for ln 0: small enough for float32, and finite, so that no difference is NaN."""


def log_likelihood(scores: Array, labels: Array, counts: Array, lengths: Array, blank: int, merge: bool) -> Array:
    """ln p(labels | x) of each item, (N,); about `NEVER` if an item has too few steps for its labels.

    Computes the forward variables of Graves et al. 2006, §4.1, over the labels with a blank before, between and after
    them. scores: ln y (T, N, C). labels (N, L): integers, of which the first counts (N,) of each row are used. lengths
    (N,): steps used. merge: whether the same label in neighbouring steps is one label; else each step has its own.
    """
    steps, items, classes = scores.shape
    padded = jnp.full((items, 2 * labels.shape[1] + 1), blank).at[:, 1::2].set(labels)
    chosen = (padded[..., None] == jnp.arange(classes)).astype(scores.dtype)
    emitted = jnp.einsum("tnc,nsc->tns", scores, chosen, precision=jax.lax.Precision.HIGHEST)
    is_label = padded != blank
    repeats = padded == jnp.roll(padded, 2, axis=1)
    stays = ~is_label | merge
    skips = is_label & ~(repeats & merge) & (jnp.arange(padded.shape[1]) > 1)
    place = jnp.arange(padded.shape[1])
    first = jnp.where(place < jnp.where(counts > 0, 2, 1)[:, None], emitted[0], NEVER)

    def step(alpha: Array, now: tuple[Array, Array]) -> tuple[Array, None]:
        t, emission = now
        ways = (
            jnp.where(stays, alpha, NEVER),
            jnp.where(place > 0, jnp.roll(alpha, 1, axis=1), NEVER),
            jnp.where(skips, jnp.roll(alpha, 2, axis=1), NEVER),
        )
        ahead = jnp.maximum(jax.nn.logsumexp(jnp.stack(ways), axis=0) + emission, NEVER)
        return jnp.where((t < lengths)[:, None], ahead, alpha), None

    alpha, _ = jax.lax.scan(step, first, (jnp.arange(1, steps), emitted[1:]))
    ends = (place == 2 * counts[:, None]) | (place == 2 * counts[:, None] - 1)
    return jax.nn.logsumexp(jnp.where(ends, alpha, NEVER), axis=1)


def best_path(scores: Array, lengths: Array, blank: int, merge: bool) -> tuple[Array, Array]:
    """The labels of each item's most probable path without blanks, (N, T), filled up with −1; and their number (N,).

    scores (T, N, C), of which the first lengths (N,) steps are used. merge: as in `log_likelihood`.
    """
    ids = jnp.argmax(scores, axis=2).T
    new = ids != jnp.roll(ids, 1, axis=1)
    new = new.at[:, 0].set(True)
    kept = (ids != blank) & (new | (not merge)) & (jnp.arange(ids.shape[1]) < lengths[:, None])
    return packed(ids, kept)


def packed(labels: Array, kept: Array) -> tuple[Array, Array]:
    """The labels (N, L) that are `kept`, moved to the front of their rows, with −1 after them; their number (N,)."""
    order = jnp.argsort(~kept, axis=1, stable=True)
    counts = jnp.sum(kept, axis=1)
    sorted_labels = jnp.take_along_axis(labels, order, axis=1)
    return jnp.where(jnp.arange(labels.shape[1]) < counts[:, None], sorted_labels, -1), counts


def edit_distances(a: Array, a_counts: Array, b: Array, b_counts: Array) -> Array:
    """The Levenshtein distance of the first a_counts labels of each row of a (N, A) to those of b (N, B): (N,).

    Computed row by row of the table; along a row, the minimum over all insertions is a running minimum of
    value − column.
    """
    columns = jnp.arange(b.shape[1] + 1)
    first = jnp.broadcast_to(columns, (a.shape[0], len(columns)))

    def step(row: Array, now: tuple[Array, Array]) -> tuple[Array, None]:
        i, label = now
        replaced = row[:, :-1] + (label[:, None] != b)
        fresh = jnp.concatenate([row[:, :1] + 1, jnp.minimum(row[:, 1:] + 1, replaced)], axis=1)
        fresh = jax.lax.cummin(fresh - columns, axis=1) + columns
        return jnp.where((i < a_counts)[:, None], fresh, row), None

    last, _ = jax.lax.scan(step, first, (jnp.arange(a.shape[1]), a.T))
    return jnp.sum(jnp.where(columns == b_counts[:, None], last, 0), axis=1)
