import jax
import numpy as np
import pytest

from engine.ops.box_matching import NONE, OUTSIDE, match


def matched(overlaps, threshold, outside=()):
    """One picture's, row by row and box by box."""
    overlaps = np.where(overlaps > 1e-6, overlaps, 0)
    found = np.full(overlaps.shape[1], NONE)
    found[list(outside)] = OUTSIDE
    open_ = set(range(len(overlaps)))
    while open_:
        pairs = [(-overlaps[g, p], p, g) for g in open_ for p in np.flatnonzero(found == NONE) if overlaps[g, p]]
        if not pairs:
            break
        _, p, g = min(pairs)
        found[p] = g
        open_.remove(g)
    for p in np.flatnonzero(found == NONE):
        g = int(np.argmax(overlaps[:, p]))
        if threshold is not None and overlaps[g, p] >= threshold and overlaps[g, p]:
            found[p] = g
    return found


@pytest.mark.parametrize("threshold", [None, 0.5, 0.9])
@pytest.mark.parametrize("seed", range(4))
def test_each_row_takes_its_best_box_and_the_rest_the_best_row(threshold, seed):
    rng = np.random.default_rng(seed)
    overlaps = np.round(rng.random((5, 6)), 1).astype(np.float32) * (rng.random((5, 6)) > 0.3)
    group = np.array([0, 1, 0, 2, 0])
    found, largest = jax.jit(lambda o, g: match(o, g, 3, threshold))(overlaps, group)
    for n in range(3):
        rows = np.flatnonzero(group == n)
        want = matched(overlaps[rows], threshold)
        assert np.array_equal(found[n], np.where(want > NONE, rows[want], want))
        np.testing.assert_allclose(largest[n], overlaps[rows].max(0))


def test_rows_that_do_not_count_match_nothing():
    found, largest = match(np.ones((2, 3), np.float32), np.array([1, 1]), 1, 0.5)
    assert found.tolist() == [[NONE] * 3]
    assert largest.tolist() == [[0] * 3]


def test_boxes_outside_take_no_part_where_there_is_a_row():
    overlaps, outside = np.array([[0.9, 0.6, 0.1]], np.float32), np.array([[True, False, False]] * 2)
    found, _ = match(overlaps, np.array([0]), 2, 0.5, outside)
    assert found.tolist() == [[OUTSIDE, 0, NONE], [NONE] * 3]
