import jax.numpy as jnp
import numpy as np
import pytest

from engine.ops import region_boxes


@pytest.mark.parametrize(
    ("mode", "pixel", "share"),
    [("IOU", 0, 6 / 30), ("IOMU", 0, 6 / 12), ("IOFU", 0, 6 / 24), ("IOU", 1, 12 / 43), ("IOFU", 1, 12 / 35)],
)
@pytest.mark.parametrize("xp", [np, jnp])
def test_overlap_is_a_part_of_what_the_mode_says(mode, pixel, share, xp):
    later, kept = xp.asarray([2.0, 2, 6, 5]), xp.asarray([0.0, 0, 4, 6])
    assert float(region_boxes.overlap(mode, pixel)(later, kept)) == pytest.approx(share)


@pytest.mark.parametrize(
    ("later", "kept", "matched"),
    [
        ((0, 0, 4, 4), (6, 0, 9, 4), 0),
        ((0, 0, 4, 4), (0, 4, 4, 8), 5 / 45),
        ((2, 2, 1.5, 2.5), (0, 0, 4, 4), 0),
        ((2, 2, 0, 2.5), (0, 0, 4, 4), 0),
    ],
)
def test_a_row_in_common_counts_where_regions_are_matched(later, kept, matched):
    boxes = np.array(later, float), np.array(kept, float)
    assert region_boxes.overlap("IOU", 1)(*boxes) == 0
    assert region_boxes.overlap("IOU", 1, matching=True)(*boxes) == pytest.approx(matched)


def test_a_box_moves_by_parts_of_its_size():
    moved = region_boxes.moved(jnp.asarray([0.5, 0, np.log(2), 0]), jnp.asarray([0.0, 0, 9, 4]))
    np.testing.assert_allclose(moved, [0, 0, 19, 4], atol=1e-5)


def test_fields_lie_around_the_middles_of_places_and_move_so_far():
    moves = np.zeros((1, 4, 1, 2), np.float32)
    moves[0, :, 0, 1] = [9, -0.25, 9, np.log(0.9)]
    found = region_boxes.of_maps(jnp.asarray(moves), jnp.asarray([[20.0, 10]]), 8, 2, 1.5)
    np.testing.assert_allclose(found[0, 0], [[4, 4, 20, 10], [22, 1.5, 30, 9]], rtol=1e-6)


def test_a_stride_may_be_larger_than_jax_can_count():
    found = region_boxes.of_maps(jnp.zeros((1, 4, 1, 1)), jnp.asarray([[20.0, 10]]), 2**32 - 2, 2, 1.5)
    np.testing.assert_allclose(found[0, 0, 0], [2**31, 2**31, 20, 10], rtol=1e-6)
