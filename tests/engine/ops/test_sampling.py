"""bilinear."""

import jax.numpy as jnp
import numpy as np
import pytest

from engine.ops.sampling import bilinear

X = jnp.arange(6.0).reshape(1, 1, 2, 3)


@pytest.mark.parametrize(
    ("place", "zero_outside", "want"),
    [
        ((0, 2), True, 2),
        ((0.5, 1.25), True, 2.75),
        ((-0.5, 0), True, 0),
        ((0, -0.25), True, 0),
        ((1.5, 2), True, 2.5),
        ((1.5, 2), False, 5),
        ((1, 2.75), False, 5),
        ((9, 9), True, 0),
    ],
)
def test_a_place_is_between_its_four_pixels(place, zero_outside, want):
    down, across = (jnp.full((1, 1, 1), v) for v in place)
    np.testing.assert_allclose(bilinear(X, down, across, zero_outside=zero_outside).ravel(), want)
