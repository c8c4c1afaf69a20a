"""Products and quotients rounded as they are written down, within a compiled program."""

import jax
import numpy as np

from engine.ops.rounded import divided, rounded

A, B, C = np.random.default_rng(0).standard_normal((3, 10000)).astype(np.float32)


def test_a_product_is_rounded_before_it_is_added():
    assert (jax.jit(lambda a, b, c: c - rounded(a * b))(A, B, C) == C - A * B).all()


def test_a_quotient_is_that_of_the_divisor_and_not_of_its_reciprocal():
    assert (jax.jit(lambda a: divided(a, 3.0))(A) == A / np.float32(3)).all()
