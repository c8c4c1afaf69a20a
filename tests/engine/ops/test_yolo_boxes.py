"""Boxes by their centres, and those of a grid."""

import jax.numpy as jnp
import numpy as np

from engine.ops.yolo_boxes import corners, of_grid, overlap


def test_corners_lie_half_a_size_from_the_centre():
    np.testing.assert_allclose(corners(jnp.array([0.5, 0.4, 0.2, 0.6])), [0.4, 0.1, 0.6, 0.7], rtol=1e-6)


def test_overlap_is_the_common_part():
    a, b = jnp.array([0.5, 0.5, 1, 1]), jnp.array([1.0, 0.5, 1, 1])
    np.testing.assert_allclose(overlap(a, b), 1 / 3, rtol=1e-6)
    assert overlap(a, b + 5) == 0


def test_a_box_lies_in_its_place_and_is_a_multiple_of_its_anchor():
    offsets = np.zeros((1, 2, 4, 2, 3))
    offsets[:, :, 0] = 0.5
    offsets[:, 1, 2] = np.log(2)
    found = of_grid(jnp.asarray(offsets), jnp.array([[3.0, 4], [3, 4]]), (6, 8))
    assert found.shape == (1, 2, 2, 3, 4)
    np.testing.assert_allclose(found[0, 0, 1, 2], [2.5 / 3, 0.5, 0.5, 0.5], rtol=1e-6)
    np.testing.assert_allclose(found[0, 1, 1, 2], [2.5 / 3, 0.5, 1, 0.5], rtol=1e-6)
