"""Products and quotients rounded as they are written down, within a compiled program."""

import jax
import numpy as np

from engine.ops.rounded import corrected, divided, rounded

A, B, C = np.random.default_rng(0).standard_normal((3, 10000)).astype(np.float32)


def test_a_product_is_rounded_before_it_is_added():
    assert (jax.jit(lambda a, b, c: c - rounded(a * b))(A, B, C) == C - A * B).all()


def test_a_quotient_is_that_of_the_divisor_and_not_of_its_reciprocal():
    assert (jax.jit(lambda a: divided(a, 3.0))(A) == A / np.float32(3)).all()


def test_a_quotient_that_is_off_by_two_units_is_put_right():
    right = A / B
    units = np.spacing(np.abs(right))
    for off in (-2, -1, 0, 1, 2):
        assert (jax.jit(corrected)(right + off * units, A, B) == right).all()


def test_a_quotient_that_is_not_finite_stays():
    assert np.isinf(divided(jax.numpy.ones(1), jax.numpy.zeros(1))).all()


def test_a_quotient_has_its_gradient():
    assert (jax.grad(lambda a: divided(a, 4.0).sum())(A) == 0.25).all()
