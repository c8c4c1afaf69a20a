"""Against every path there is: sums over all of them, in float64."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from engine.ops import ctc

STEPS, CLASSES = 4, 3
LABELS = np.array([[1, 1], [2, 1], [2, 2], [1, 2]])
COUNTS, LENGTHS = np.array([2, 2, 1, 0]), np.array([4, 2, 3, 4])


def read(path, merge):
    kept = [c for i, c in enumerate(path) if c != 0 and not (merge and i and path[i - 1] == c)]
    return tuple(int(c) for c in kept)


def likelihood(y, labels, merge):
    paths = itertools.product(range(CLASSES), repeat=len(y))
    return sum(np.prod([y[t, c] for t, c in enumerate(path)]) for path in paths if read(path, merge) == labels)


@pytest.mark.parametrize("merge", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_likelihood_is_the_sum_over_all_paths(merge):
    y = np.random.default_rng(0).dirichlet([1.0] * CLASSES, (STEPS, 4))
    want = [
        likelihood(y[:n, i], tuple(LABELS[i, :m]), merge) for i, (n, m) in enumerate(zip(LENGTHS, COUNTS, strict=True))
    ]
    got = jax.jit(lambda s: ctc.log_likelihood(s, LABELS, COUNTS, LENGTHS, 0, merge))(np.log(y).astype(np.float32))
    np.testing.assert_allclose(np.exp(got), want, rtol=1e-5)


@pytest.mark.slow
def test_what_cannot_be_read_in_so_few_steps_has_no_likelihood_and_a_finite_gradient():
    def total(scores):
        return jnp.sum(ctc.log_likelihood(scores, jnp.array([[1, 1]]), jnp.array([2]), jnp.array([2]), 0, True))

    value, gradient = jax.jit(jax.value_and_grad(total))(jnp.zeros((2, 1, 3)))
    assert value < ctc.NEVER / 2
    assert np.all(np.isfinite(gradient))


@pytest.mark.parametrize(
    ("merge", "want"), [(True, [[1, 1, 2, -1], [2, -1, -1, -1]]), (False, [[1, 1, 2, 2], [2, 2, -1, -1]])]
)
def test_the_best_path_leaves_out_blanks_and_what_repeats(merge, want):
    paths = np.array([[1, 0, 1, 2, 2], [2, 2, 0, 1, 1]])
    want = np.pad(want, ((0, 0), (0, 1)), constant_values=-1)
    if not merge:
        want[0] = [1, 1, 2, 2, -1]
    rows, counts = jax.jit(lambda s: ctc.best_path(s, np.array([5, 3]), 0, merge))(np.eye(3)[paths.T])
    assert np.array_equal(rows, want)
    assert np.array_equal(counts, (want >= 0).sum(1))


def test_edit_distances_count_changes_insertions_and_removals():
    words = [("kitten", "sitting", 3), ("", "ab", 2), ("abc", "abc", 0), ("abcd", "", 4), ("flaw", "lawn", 2)]

    def table(texts):
        longest = max(map(len, texts))
        return np.array([[*map(ord, t), *[-1] * (longest - len(t))] for t in texts]), np.array([len(t) for t in texts])

    got = jax.jit(ctc.edit_distances)(*table([a for a, _, _ in words]), *table([b for _, b, _ in words]))
    assert list(got) == [n for _, _, n in words]
