"""GeneralContrastiveLoss and GeneralTripletLoss: distances of three items to three classes, by hand."""

import jax
import numpy as np
import pytest
from support.layer_cases import Case, assert_close, check_refused

D = np.array([[0.2, 0.5, 1.5], [0.9, 0.1, 0.8], [0.3, 0.4, 3]])
LABELS = np.array([0, 1, 2])
CONTRASTIVE = 'type: "GeneralContrastiveLoss" loss_weight: [2, 0] general_contrastive_loss_param {{ {} }}'.format
TRIPLET = 'type: "GeneralTripletLoss" loss_weight: [2, 0] general_triplet_loss_param {{ {} }}'.format
E = np.exp(-D)


def slow(*values):
    return pytest.param(*values, marks=pytest.mark.slow)


def run(layer, d=D, **more):
    """The tops, and three times the gradient of the loss, whose weight of 2 is taken out."""
    case = Case("distances", layer, {"d": d, "labels": LABELS, **more}, tops=2)
    (params, given), state = case.values(), [0 * p for p in case.values()[0]]
    del params

    def loss(d):
        forward = case.net.forward(state, {**given, "d": d}, jax.random.key(1), keep=True)
        return forward.loss, [forward.values[v] for v in case.net.tops[case.net.layer_names.index("layer")]]

    slope, tops = case.net.compile(jax.grad(loss, has_aux=True))(given["d"])
    return tops, 3 * slope / 2


@pytest.mark.parametrize(
    ("options", "value", "slopes"),
    [
        ("", 0.2 + 0.1 + 3 + 0.5 + 0.1 + 0.2 + 0.7 + 0.6, [[1, -1, 0], [-1, 1, -1], [-1, -1, 1]]),
        (
            "positive_outlier_thresh: 2.5 positive_margin: 0.15",
            0.05 + 2.5 + 2.1,
            [[1, -1, 0], [-1, 0, -1], [-1, -1, 0]],
        ),
        slow("negative_weight: 0.5 positive_weight: 2", 6.6 + 1.05, [[2, -0.5, 0], [-0.5, 2, -0.5], [-0.5, -0.5, 2]]),
        slow("positive_first: true", 3.3 + 0.8, [[1, -1, 0], [-1, 1, -1], [0, 0, 1]]),
        slow("max_negative_only: true", 3.3 + 0.5 + 0.2 + 0.7, [[1, -1, 0], [0, 1, -1], [-1, 0, 1]]),
        slow("max_positive_only: true", 0.1 + 2.1, [[0, -1, 0], [-1, 1, -1], [-1, -1, 0]]),
        slow("normalize_negative: 1", 5.4, [[1, -0.6, 0], [-0.6, 1, -0.6], [-0.6, -0.6, 1]]),
        slow(
            "exp_negative_weight: true",
            3.3 + E[0, 1] + E[1, 0] + E[1, 2] + E[2, 0] + E[2, 1],
            [[1, -E[0, 1], 0], [-E[1, 0], 1, -E[1, 2]], [-E[2, 0], -E[2, 1], 1]],
        ),
    ],
)
def test_contrastive_loss_pulls_the_own_class_and_pushes_the_near_ones(options, value, slopes):
    tops, slope = run(CONTRASTIVE(options))
    assert_close(tops[0], value / 3)
    assert_close(slope, slopes)


@pytest.mark.slow
def test_the_running_distance_is_added_to_the_margin():
    tops, _ = run(CONTRASTIVE("add_intra_mae: true"))
    assert_close(tops[1], [1.1, 2.1 / 6, 0.011])


def test_distances_of_a_third_bottom_count_and_the_first_has_the_gradient():
    tops, slope = run(CONTRASTIVE(""), d=0 * D, told=D)
    assert_close(tops[0], 5.4 / 3)
    assert_close(slope, [[1, -1, 0], [-1, 1, -1], [-1, -1, 1]])


@pytest.mark.parametrize(
    ("options", "value", "slopes"),
    [
        slow("", 2.9 + 2.8, [[1, 0, 0], [0, 1, 0], [-1, -1, 1]]),
        (
            "margin: 0.75 negative_weight: 2 positive_weight: 3",
            2 * (0.45 + 0.05 + 6.8),
            [[3, -2, 0], [0, 3, -2], [-2, -2, 3]],
        ),
        ("add_center_loss: false hardest_only: true", 2.9, [[0, 0, 0], [0, 0, 0], [-1, 0, 1]]),
        slow("positive_first: true", 0, [[1, 0, 0], [0, 1, 0], [0, 0, 1]]),
    ],
)
def test_triplet_loss_pushes_what_is_nearer_than_the_own_class(options, value, slopes):
    tops, slope = run(TRIPLET(options))
    assert_close(tops[0], value / 3)
    assert_close(slope, slopes)
    assert_close(tops[1], [1.1, (2 + 1.7 + 0.7) / 6])


def test_a_third_bottom_weighs_the_slopes():
    _, slope = run(TRIPLET(""), weights=np.array([1, 2, 0.5]))
    assert_close(slope, [[1, 0, 0], [0, 2, 0], [-0.5, -0.5, 0.5]])


@pytest.mark.parametrize(
    ("layer", "bottoms", "message"),
    [
        (TRIPLET(""), {"d": (), "l": ()}, "is a scalar"),
        (TRIPLET(""), {"d": (3, 3), "l": (3,), "w": (2,)}, "must hold 3 values, one an item"),
        (CONTRASTIVE(""), {"d": (3, 3), "l": (3,), "w": (3, 2)}, r"it must be \[3, 3\]"),
        (CONTRASTIVE("normalize_negative: 0"), {"d": (3, 3), "l": (3,)}, "it must be above 0"),
    ],
)
def test_wrong_configuration_is_refused(layer, bottoms, message):
    check_refused(layer, bottoms, message)
