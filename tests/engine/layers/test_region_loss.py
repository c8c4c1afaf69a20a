"""RegionLoss; recorded values tell the whole of it."""

import numpy as np
import pytest
from support.layer_cases import Case, assert_close, check_export, check_refused, slopes

BIASES = "biases: 1 biases: 1 biases: 2 biases: 0.5"
LAYER = f'type: "RegionLoss" region_loss_param {{{{ num_class: 3 num: 2 {BIASES} {{}} }}}}'.format
SHAPES = {"x": (2, 16, 3, 3), "boxes": (2, 20)}


def x_of(shape=(1, 16, 3, 3)):
    return np.random.default_rng(0).standard_normal(shape)


def deltas(boxes, options="", x=None):
    """δ of one picture, (anchor, value, row, column)."""
    (gradient,) = slopes(LAYER(options), x=x_of() if x is None else x, boxes=[np.ravel(boxes)])
    return np.array(gradient).reshape(2, 8, 3, 3)


BOX = [2, 0.5, 0.5, 0.3, 0.3]


def test_without_boxes_confidences_go_towards_0():
    sure = 1 / (1 + np.exp(-x_of().reshape(2, 8, 3, 3)[:, 4]))
    delta = deltas([0] * 10, "noobject_scale: 0.25")
    assert_close(delta[:, 4], 0.25 * sure**2 * (1 - sure))
    delta[:, 4] = 0
    assert not delta.any()


def test_the_anchor_that_fits_answers_a_box():
    answered = np.argwhere(np.abs(deltas([BOX, [0] * 5])[:, 5:]).sum(1))
    assert answered.tolist() == [[0, 1, 1]]
    wide = np.argwhere(np.abs(deltas([[2, 0.9, 0.2, 0.7, 0.2], [0] * 5])[:, 5:]).sum(1))
    assert wide.tolist() == [[1, 0, 2]]


def test_a_prediction_of_the_box_is_right():
    x = x_of()
    at = x.reshape(2, 8, 3, 3)[0, :, 1, 1]
    at[:4] = 0, 0, np.log(0.9), np.log(0.9)
    at[4:] = 40, -40, -40, 40
    assert_close(deltas([BOX, [0] * 5], x=x)[0, :, 1, 1], np.zeros(8))


def test_of_two_boxes_for_one_prediction_the_last_counts():
    first, last = BOX, [0, 0.55, 0.45, 0.3, 0.3]
    both, alone = (deltas(boxes)[0, :, 1, 1] for boxes in ([first, last], [last, [0] * 5]))
    assert_close(both, alone)


def test_without_rescore_confidence_goes_towards_1_and_small_boxes_count_more():
    plain, rescored = deltas([BOX, [0] * 5], "rescore: 0"), deltas([BOX, [0] * 5])
    sure = 1 / (1 + np.exp(-x_of().reshape(2, 8, 3, 3)[0, 4, 1, 1]))
    assert_close(plain[0, 4, 1, 1], (sure - 1) * sure * (1 - sure))
    assert_close(plain[0, :4], rescored[0, :4] * (2 - 0.3 * 0.3))


def test_the_loss_is_the_sum_of_the_squares():
    case = Case("loss", LAYER(""), {"x": x_of(), "boxes": np.array([BOX + [0] * 5])})
    assert_close(case.net.compile(case.run)(*case.values())[0], np.sum(deltas([BOX, [0] * 5]) ** 2))


def test_a_step_lowers_for_cuda():
    check_export(Case("step", LAYER("bias_match: 0"), SHAPES))


@pytest.mark.parametrize(
    ("layer", "bottoms", "message"),
    [
        ('type: "RegionLoss" region_loss_param { num: 2 biases: 1 }', SHAPES, "it has 1 biases"),
        (LAYER(""), {**SHAPES, "x": (2, 16, 3, 4)}, r"must be \(N, 16, S, S\)"),
        (LAYER(""), {**SHAPES, "boxes": (2, 21)}, "must hold 5 values per box"),
        (LAYER("coords: 5"), SHAPES, "coords is 5"),
    ],
)
def test_wrong_configuration_is_refused(layer, bottoms, message):
    check_refused(layer, bottoms, message)
