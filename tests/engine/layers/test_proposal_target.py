"""ProposalTarget: what is learned from which region, by hand; and that what is drawn is what may be."""

import jax
import numpy as np
import pytest
from support.layer_cases import assert_close, check_refused, net_of

from engine.errors import LayerError

REGIONS = np.array([[0, 0, 0, 9, 9], [0, 0, 0, 9, 5], [0, 4, 4, 13, 13], [1, 0, 0, 9, 9], [0, 40, 40, 49, 49]], "f4")
OBJECTS = np.array([[0, 0, 0, 9, 7, 2, 0], [-1, 0, 0, 9, 9, 1, 0], [1, 30, 30, 39, 39, 1, 1]], "f4")
LAYER = """type: "ProposalTarget" bbox_reg_param {{ {} }}
  proposal_target_param {{ num_img_per_batch: 2 img_width: 60 img_height: 50 {} }}""".format
SHAPES = {"regions": (5, 5), "objects": (3, 7)}


def run(options, regression="", tops=7, regions=REGIONS, objects=OBJECTS, key=0):
    net = net_of(LAYER(regression, options), {"regions": regions, "objects": objects}, tops)
    made = net.forward([], {"regions": regions, "objects": objects}, jax.random.key(key), keep=True)
    return [np.asarray(made.outputs[f"y{i}"])[:, :, 0, 0] for i in range(tops)]


def test_regions_learn_to_move_to_the_object_that_they_overlap_most():
    regions, classes, targets, inside, outside, matched, weights = run(
        "cls_num: 3 batch_size: -1 fg_fraction: 0.5 append_gtbox: false",
        "bbox_mean: [0, 0, 0, 0] bbox_std: [1, 0.5, 1, 2]",
    )
    assert_close(regions, REGIONS[[0, 1, 2]])
    assert classes.ravel().tolist() == [2, 2, 0]
    moves = [[0, -0.2, 0, np.log(0.8) / 2], [0, 1 / 3, 0, np.log(8 / 6) / 2]]
    assert_close(targets[:2, 8:], moves)
    assert not targets[:, :8].any()
    assert not targets[2].any()
    assert inside.tolist() == outside.tolist() == [[0] * 8 + [1] * 4] * 2 + [[0] * 12]
    assert_close(matched, [[2, 0, 0, 9, 7, 0.8], [2, 0, 0, 9, 7, 0.75], [0] * 6])
    assert_close(weights.ravel(), [0.75, 0.75, 1.5])


def test_objects_are_regions_too_but_for_those_ignored():
    regions, classes, targets, *_ = run("batch_size: -1 bg_thr_lw: 0.3", "cls_aware: false", tops=6)
    assert_close(regions, [*REGIONS[:2], OBJECTS[0, :5]])
    assert classes.ravel().tolist() == [2, 2, 2]
    assert targets.shape == (3, 8)
    assert not targets[2].any()


def test_too_many_are_drawn_at_random_and_too_few_filled_up():
    many = np.repeat(REGIONS[[0, 2, 4]], 20, 0)
    many[:, 1:] += np.arange(60)[:, None] / 1e3
    drawn = [run("cls_num: 3 batch_size: 16", regions=many, key=key) for key in (0, 0, 1)]
    for regions, classes, *_ in drawn:
        assert classes.ravel().tolist() == [2] * 4 + [0] * 12
        assert len(np.unique(regions, axis=0)) == 16
    assert np.array_equal(drawn[0][0], drawn[1][0])
    assert not np.array_equal(drawn[0][0], drawn[2][0])
    filled = run("cls_num: 3 batch_size: 100", regions=many)
    assert_close(filled[0][-20:], many[-20:])
    assert len(run("cls_num: 3 batch_size: 100 pickup_discard: false", regions=many)[0]) == 41


def test_where_no_region_is_left_one_of_background_is_drawn():
    regions, classes, targets, *_ = run("cls_num: 3 batch_size: -1 append_gtbox: false", regions=REGIONS[3:])
    assert classes.tolist() == [[0]]
    assert not targets.any()
    ((picture, x1, y1, x2, y2),) = regions
    assert picture in (0, 1)
    assert 0 <= x1 <= x2 - 31 <= 28
    assert 0 <= y1 <= y2 - 31 <= 18


def test_a_picture_may_have_no_objects():
    assert run("cls_num: 3 batch_size: -1", objects=np.zeros((0, 7), np.float32))[1].tolist() == [[0]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("cls_num: 1", "cls_num is 1; proposal_target_param needs 2 or more"),
        ("cls_num: 3 batch_size: 0", "batch_size is 0; it must be 1 or more, or −1"),
        ("cls_num: 3 fg_thr: 0.3", "fg_thr is 0.3 and bg_thr_hg 0.5"),
    ],
)
def test_wrong_configuration_is_refused(options, message):
    check_refused(LAYER("", options), SHAPES, message, tops=6)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        (0, 7, r'bottom "objects" has pictures 1 to 7; with num_img_per_batch 2'),
        (5, 3, "classes 1 to 3; they must be 1 or more"),
    ],
)
def test_objects_that_cannot_be_are_refused(column, value, message):
    objects = OBJECTS.copy()
    objects[0, column] = value
    with pytest.raises(LayerError, match=message):
        run("cls_num: 3", objects=objects)
