"""Pixels as points."""

import jax.numpy as jnp
import numpy as np

from engine.ops.pixel_features import colours, places


def test_places_are_column_and_row_row_by_row():
    assert places(2, 3, jnp.float32).tolist() == [[0, 0], [1, 0], [2, 0], [0, 1], [1, 1], [2, 1]]


def test_colours_are_the_first_three_channels():
    picture = np.arange(16.0).reshape(4, 2, 2)
    assert colours(picture).tolist() == [[0, 4, 8], [1, 5, 9], [2, 6, 10], [3, 7, 11]]
