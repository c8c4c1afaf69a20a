"""DiceCoefLoss: its value and, as DeepDetect has it, the gradient of the sum over the items."""

import jax
import numpy as np
import pytest
from support.layer_cases import Case, assert_close, check_refused

LABELS = np.array([[[[0, 1], [2, 2]]], [[[1, 1], [1, 0]]]])
X = np.random.default_rng(5).uniform(0, 1, (2, 3, 2, 2))
DICE = 'type: "DiceCoefLoss" dice_coef_loss_param {{ {} }}'.format
T = np.array([LABELS[:, 0] == c for c in range(3)]).swapaxes(0, 1).astype(float)
SIZES = 1 + T.sum((2, 3), keepdims=True)


def dice(x, w=1.0, smooth=0.5):
    over = (1, 2, 3)
    return (2 * (w * x * T).sum(over) + smooth) / ((w * x * x).sum(over) + (w * T).sum(over) + smooth)


@pytest.mark.parametrize(
    ("options", "formula"),
    [
        ("", dice),
        pytest.param("generalization: MULTICLASS_WEIGHTED", lambda x: dice(x, SIZES**-2.0, 0), marks=pytest.mark.slow),
        (
            "generalization: MULTICLASS_WEIGHTED_BATCH weight_mode: EQUALIZE_CLASSES ignore_label: 0",
            lambda x: dice(x, (SIZES + np.array([4e6 - 1, 0, 0]).reshape(1, 3, 1, 1)).mean(0) ** -1.0, 0),
        ),
    ],
)
def test_the_gradient_is_that_of_the_sum(options, formula):
    case = Case("dice", DICE(options), {"x": X, "labels": LABELS})
    given = case.values()[1]
    run = case.net.compile(jax.value_and_grad(lambda x: case.net.forward([], {**given, "x": x}).loss))
    value, slope = run(given["x"])
    assert_close(value, 1 - formula(X).mean())
    direction = np.random.default_rng(6).standard_normal(X.shape)
    ahead, behind = (formula(X + s * direction).sum() for s in (1e-6, -1e-6))
    assert_close(np.vdot(slope, direction), -(ahead - behind) / 2e-6)


def test_an_ignored_class_is_no_part_of_the_value():
    case = Case("dice", DICE("generalization: MULTICLASS ignore_label: 1"), {"x": X, "labels": LABELS})
    w = np.array([1.0, 0, 1]).reshape(1, 3, 1, 1)
    assert_close(case.net.compile(case.run)([], case.values()[1])[0], 1 - dice(X, w).mean())


def test_an_only_class_is_never_ignored():
    plain, ignored = (
        Case("dice", DICE(f"generalization: MULTICLASS {option}"), {"x": X[:, :1], "labels": LABELS * 0})
        for option in ("", "ignore_label: 0")
    )
    given = plain.values()[1]
    assert_close(ignored.run([], given)[0], plain.run([], given)[0])


@pytest.mark.parametrize(
    ("options", "labels", "message"),
    [
        ("", (2, 3, 2, 2), r"must be \(N, C, H, W\) and \(N, 1, H, W\)"),
        ("contour_shape: SIMPLE", LABELS, "contour_shape, weights and"),
        ("generalization: MULTICLASS ignore_label: 3", LABELS, "ignore_label is 3 and .* has 3 classes"),
    ],
)
def test_wrong_configuration_is_refused(options, labels, message):
    check_refused(DICE(options), {"x": X, "labels": labels}, message)
