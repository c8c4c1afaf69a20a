"""Gaussian filters on a permutohedral lattice: against a slow one, figures of the forks' code, the Gaussian."""

import jax
import numpy as np
import pytest
from support import slow_lattice

from engine.ops import permutohedral_lattice as lattice

# What the forks' code makes of the values 1, 2, … at these points.
POINTS_2 = np.array([[0, 0], [1, 0.5], [0.3, -0.2], [2, 2], [-1.5, 0.75], [0.25, 0.25], [1, 0.5]])
FILTERED_2 = [13.64764404, 13.32974815, 12.61870098, 4.36786938, 4.55598593, 13.55822372, 13.32974815]
POINTS_5 = np.array(
    [[i * 0.3, j * 0.3, i * j % 3 * 0.5, (i + j) % 2 * 0.7, (3 * i + j) % 4 * 0.2] for i in range(2) for j in range(3)]
)
FILTERED_5 = [8.73050308, 7.12556314, 7.05605125, 6.72309589, 6.92059374, 6.20324802]


@pytest.mark.parametrize(("points", "wanted"), [(POINTS_2, FILTERED_2), (POINTS_5, FILTERED_5)])
def test_the_slow_lattice_is_the_forks(points, wanted):
    values = np.arange(1.0, len(points) + 1)[:, None]
    np.testing.assert_allclose(slow_lattice.filtered(points, values)[:, 0], wanted, rtol=1e-5)


def test_the_slow_lattice_is_nearly_the_gaussian():
    rng = np.random.default_rng(0)
    points = rng.uniform(0, 2, (150, 3))
    values = np.cos(points @ rng.standard_normal((3, 2)))
    gaussian = np.exp(-((points[:, None] - points) ** 2).sum(2) / 2)
    error = slow_lattice.smoothed(points, values) - gaussian @ values / gaussian.sum(1, keepdims=True)
    assert np.abs(error).mean() < 0.1 * values.std()


@pytest.fixture(scope="module")
def run():
    """Points (N, 3), which of them count, values (N, 2), and what comes back for each of these: what is filtered, the
    mean, and the transpose applied to what comes back. Vertices are taken in turns of 16."""

    def all_of_it(points, inside, values, dy):
        made = lattice.lattice(points, inside)
        filtered, back = jax.vjp(lambda v: lattice.filtered(made, v), values)
        return filtered, back(dy)[0], lattice.smoothed(lattice.built(points, inside), values), made.vertices

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lattice, "STRETCH", 16)
        yield jax.jit(all_of_it)


@pytest.mark.parametrize("scale", [0.2, 2.0, 50.0])
@pytest.mark.parametrize("count", [40, 33])
def test_the_lattice_is_that_of_the_points_that_are_inside(run, scale, count):
    rng = np.random.default_rng(1)
    points = (rng.standard_normal((40, 3)) * scale).astype(np.float32)
    points[3], points[5] = 0, points[4]
    inside = np.zeros(40, bool)
    inside[rng.permutation(40)[:count]] = True
    values, dy = rng.standard_normal((2, 40, 2)).astype(np.float32)
    filtered, back, mean, vertices = run(points, inside, values, dy)
    want = slow_lattice.filtered(points[inside], values[inside])
    np.testing.assert_allclose(np.asarray(filtered)[inside], want, atol=2e-5 * scale * np.abs(want).max())
    want = slow_lattice.smoothed(points[inside], values[inside])
    np.testing.assert_allclose(np.asarray(mean)[inside], want, atol=2e-5 * scale * np.abs(want).max())
    assert not np.asarray(back)[~inside].any()
    np.testing.assert_allclose(np.vdot(back, values), np.vdot(dy, filtered), rtol=1e-4)
    assert (vertices > 16) == (scale > 0.2)


def test_no_point_is_inside(run):
    nothing = np.zeros((40, 2), np.float32)
    filtered, *_ = run(np.ones((40, 3), np.float32), np.zeros(40, bool), nothing + 1, nothing)
    assert not np.asarray(filtered).any()
