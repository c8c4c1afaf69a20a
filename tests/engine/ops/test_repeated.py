"""Elements taken at known places, and the sums that go back to them."""

import jax
import numpy as np
import pytest

from engine.ops.repeated import repeated
from tests.support import gpu_program

X = np.arange(24, dtype=np.float32).reshape(2, 4, 3)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_it_is_numpys_take_with_its_transpose(axis):
    size = X.shape[axis]
    places = (0, 1, 1, 1, size - 1)
    y, pull = jax.vjp(lambda x: repeated(x, places, axis), X)
    np.testing.assert_array_equal(y, np.take(X, places, axis))
    dy = np.random.default_rng(1).standard_normal(y.shape).astype(np.float32)
    wanted = np.zeros_like(X)
    np.add.at(np.moveaxis(wanted, axis, 0), np.asarray(places), np.moveaxis(dy, axis, 0))
    np.testing.assert_allclose(pull(dy)[0], wanted, rtol=1e-6)


def test_what_is_not_a_number_stays_with_its_place():
    _, pull = jax.vjp(lambda x: repeated(x, (0, 2, 2), 0), np.ones(4, np.float32))
    np.testing.assert_array_equal(pull(np.float32([1, np.nan, 2]))[0], np.float32([1, 0, np.nan, 0]))


def test_its_gradient_is_no_scatter():
    def step(x):
        return jax.grad(lambda x: (repeated(x, (0, 0, 1), 1) ** 2).sum())(x)

    assert not gpu_program.unordered_sums(gpu_program.lowered(step, X))
