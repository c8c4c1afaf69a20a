"""Rows picked by number, and the sums of their gradients."""

import jax
import numpy as np
import pytest

from engine.ops import picked_rows, platform
from engine.ops.picked_rows import pick, sums


@pytest.mark.parametrize("count", [1, 7, 100])
def test_sums_by_sorting_are_those_of_adding_one_by_one(count):
    rng = np.random.default_rng(count)
    values, numbers = rng.standard_normal((count, 3)).astype(np.float32), rng.integers(-3, 23, count, np.int32)
    want = np.zeros((20, 3))
    for value, number in zip(values, numbers, strict=True):
        if 0 <= number < 20:
            want[number] += value
    for form in (picked_rows._added, picked_rows.sorted_sums):
        np.testing.assert_allclose(jax.jit(form, static_argnums=2)(values, numbers, 20), want, atol=1e-5)


def test_of_no_values_the_sums_are_zero():
    with platform.no_cpu():
        assert not sums(np.zeros((0, 3), np.float32), np.zeros(0, int), 4).any()


def test_a_row_gets_the_gradient_of_each_time_that_it_was_picked():
    x, weights = np.ones((3, 2), np.float32), np.float32([[1, 2], [3, 4], [5, 6]])
    numbers = np.int32([2, 0, 2])

    def gradient():
        return jax.jit(jax.grad(lambda x, numbers: (weights * pick(x, numbers)).sum()))(x, numbers)

    want = [[3, 4], [0, 0], [6, 8]]
    np.testing.assert_array_equal(gradient(), want)
    with platform.no_cpu():
        np.testing.assert_array_equal(gradient(), want)
