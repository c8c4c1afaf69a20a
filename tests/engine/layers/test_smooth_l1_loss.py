"""SmoothL1Loss: of SSD, Fast R-CNN, Faster R-CNN and R-FCN."""

import numpy as np
import pytest
from support.layer_cases import Case, assert_close, check_export, check_formula, check_gradient, check_refused, slopes

AB = {"a": (3, 4), "b": (3, 4)}
LOSS = 'type: "SmoothL1Loss" {}'.format
W = np.array([[1.0, 0, 2, 1], [0.5, 1, 1, 0], [1, 1, 1, 3]])


def huber(d, sigma=1):
    return np.where(np.abs(d) < 1 / sigma**2, (sigma * d) ** 2 / 2, np.abs(d) - 0.5 / sigma**2)


CASES = [
    Case("ssd", LOSS(""), AB, lambda a, b: huber(a - b).sum() / 3),
    Case("faster", LOSS("smooth_l1_loss_param { sigma: 3 }"), AB, lambda a, b: huber(a - b, 3).sum() / 3),
    Case(
        "faster, weighted",
        LOSS(""),
        {**AB, "inside": W, "outside": W},
        lambda a, b, w, v: (v * huber(w * (a - b))).sum() / 3,
    ),
    Case("r-fcn", LOSS("loss_param { normalization: BATCH_SIZE }"), AB, lambda a, b: huber(a - b).sum() / 3),
    Case(
        "r-fcn, a fixed number",
        LOSS("loss_param { normalization: PRE_FIXED pre_fixed_normalizer: 7 }"),
        AB,
        lambda a, b: huber(a - b).sum() / 7,
    ),
    Case("r-fcn, places", LOSS("loss_param { normalization: VALID }"), AB, lambda a, b: huber(a - b).sum() / 3),
]


@pytest.mark.parametrize("case", CASES, ids=str)
class TestCases:
    def test_loss_equals_the_formula(self, case):
        check_formula(case)

    def test_gradient_is_the_numerical_one(self, case):
        check_gradient(case)


def test_step_lowers_for_cuda():
    check_export(CASES[2])


@pytest.mark.parametrize("more", ["", "loss_param { normalization: NONE }"])
def test_the_weights_of_three_bottoms_are_not_in_the_gradient(more):
    a = np.full((3, 4), 0.25)
    gradient = slopes(LOSS(f"loss_weight: 1 {more}"), a=a, b=0 * a, w=W)[0]
    assert_close(gradient, np.minimum(W / 4, 1) / (1 if more else 3))


@pytest.mark.parametrize(
    ("bottoms", "more", "message"),
    [
        ({"a": (3, 4), "b": (3, 5)}, "", "equally many values"),
        ({"a": (3, 4), "b": (2, 6)}, "", "same first dimension"),
        ({**AB, "w": (2, 6)}, "", r'bottom "a" has shape \[3, 4\] and bottom "w" \[2, 6\]; both need the same first'),
        (AB, "smooth_l1_loss_param { sigma: 0 }", "sigma is 0"),
        ({**AB, "w": (3, 4)}, "smooth_l1_loss_param { }", "both inside and outside weights, or neither"),
        ({"a": (3, 1, 1, 1, 2), "b": (3, 2)}, "loss_param { normalization: NONE }", "4 axes at most"),
    ],
)
def test_wrong_configuration_is_refused(bottoms, more, message):
    check_refused(LOSS(more), bottoms, message)
