"""CtcLoss, WarpCTCLoss and CTCLoss, against the sum over all paths."""

import itertools

import jax
import numpy as np
import pytest
from support.layer_cases import Case, assert_close, check_export, check_refused

X = (4, 3, 3)
ROWS = np.array([[2, 1, 2], [0, 0, 1], [0, 0, 0]])
"""Labels (N, L) with the blank 2 between them."""

INDICATORS = np.array([[0, 0, 0], [1, 1, 0], [1, 0, 1], [1, 1, 1]])
COLUMNS = np.array([[1, 0, -1], [1, -1, -1], [-1, -1, -1], [-1, -1, -1]])
"""Labels (T, N); the items have 4, 2 and no steps."""

WARP = 'type: "CtcLoss" ctc_loss_param {{ {} }}'.format
USUAL = "alphabet_size: 3 time_step: 4 blank_label: 2"
COLLAPSED = 'type: "CTCLoss" ctc_loss_param { preprocess_collapse_repeated: true output_delay: 1 }'


def loss(x, labels, blank):
    """−ln p of the labels, summed over all paths through the scores x (T, C); infinite where none has them."""
    y = np.exp(x) / np.exp(x).sum(1, keepdims=True)
    total = 0.0
    for path in itertools.product(range(x.shape[1]), repeat=len(x)):
        if [c for c, _ in itertools.groupby(path) if c != blank] == list(labels):
            total += np.prod([y[t, c] for t, c in enumerate(path)])
    return -np.log(total) if total else np.inf


def warp(x, labels, blank=2):
    losses = [loss(x[:, n], [c for c in row if c != blank], blank) for n, row in enumerate(labels)]
    return sum(each for each in losses if np.isfinite(each)) / len(losses)


def marked(x, *_):
    return (loss(x[:, 0], [1, 1], 2) + loss(x[:2, 1], [0], 2)) / 3


def test_ctc_loss_lowers_for_cuda():
    check_export(Case("warp", WARP(USUAL), {"x": X, "labels": ROWS}, warp))


def test_the_gradient_of_ctc_loss_is_that_of_the_sum_times_the_loss_weight():
    x, value, slope = gradient(WARP(USUAL), {"x": X, "labels": ROWS}, 0.5)
    assert_close(value, warp(x, ROWS))
    assert_close(slope, numerical(lambda x: 0.5 * len(ROWS) * warp(x, ROWS), x))


def gradient(layer, bottoms, weight=1.0):
    case = Case("gradient", f"{layer} loss_weight: {weight}", bottoms)
    values = case.values()[1]
    run = jax.value_and_grad(lambda x: case.net.forward([], {**values, "x": x}).loss)
    value, slope = case.net.compile(run)(values["x"])
    return values["x"].astype(float), float(value) / weight, slope


def numerical(f, x):
    slope = np.zeros_like(x)
    for at in np.ndindex(x.shape):
        d = np.zeros_like(x)
        d[at] = 1e-5
        slope[at] = (f(x + d) - f(x - d)) / 2e-5
    return slope


@pytest.mark.parametrize(
    ("layer", "bottoms", "want"),
    [
        ('type: "WarpCTCLoss" ctc_loss_param { blank_index: 2 }', {"x": X, "labels": ROWS}, warp),
        pytest.param(
            'type: "WarpCTCLoss" ctc_loss_param { blank_index: 2 }',
            {"x": X, "steps": np.array([4, 2, 0]), "counts": np.array([2, 1, 0]), "labels": np.abs(COLUMNS)},
            marked,
            marks=pytest.mark.slow,
        ),
        pytest.param(
            'type: "WarpCTCLoss"',
            {"x": X, "marks": INDICATORS, "labels": COLUMNS},
            lambda x: (loss(x[:, 0], [2, 2], 0) + loss(x[:2, 1], [1], 0)) / 3,
            marks=pytest.mark.slow,
        ),
        pytest.param(
            'type: "CTCLoss"', {"x": X, "marks": INDICATORS, "labels": COLUMNS}, marked, marks=pytest.mark.slow
        ),
        pytest.param(
            COLLAPSED,
            {"x": X, "marks": INDICATORS, "labels": COLUMNS},
            lambda x: (loss(x[1:, 0], [1], 2) + loss(x[1:2, 1], [0], 2)) / 3,
            marks=pytest.mark.slow,
        ),
    ],
)
def test_the_gradient_is_that_of_the_sum_whatever_the_loss_weighs(layer, bottoms, want):
    given = want if want is not warp else lambda x: warp(x, ROWS)
    x, value, slope = gradient(layer, bottoms, 0.5)
    assert_close(value, given(x))
    assert_close(slope, numerical(lambda x: 3 * given(x), x))


@pytest.mark.slow
def test_labels_without_enough_steps_weigh_nothing_or_infinitely():
    few = {"x": (2, 1, 3), "labels": np.array([[1, 1]])}
    case = Case("few", WARP("alphabet_size: 3 time_step: 2 blank_label: 2"), few)
    assert case.net.compile(case.run)([], case.values()[1])[0] == 0
    labels = {"x": (2, 1, 3), "marks": np.array([[0], [1]]), "labels": np.array([[1], [1]])}
    x, value, slope = gradient('type: "CTCLoss"', labels)
    assert value == np.inf
    assert_close(slope, np.exp(x) / np.exp(x).sum(2, keepdims=True))


@pytest.mark.parametrize(
    ("layer", "bottoms", "message"),
    [
        (WARP("time_step: 4 alphabet_size: 4"), {"x": X, "l": (3, 2)}, "alphabet_size is 4 and .* has 3 classes"),
        (WARP("time_step: 5 alphabet_size: 3"), {"x": X, "l": (3, 2)}, "time_step is 5; it must be 1 to 4"),
        (WARP(USUAL.replace("2", "3")), {"x": X, "l": (3, 2)}, "blank_label is 3; it must be 0 to 2"),
        (WARP(USUAL), {"x": X, "l": (4, 2)}, r"it must be \(3, labels\)"),
        (WARP(USUAL), {"x": (4, 3), "l": (3, 2)}, r"it must be \(steps, batch, classes\)"),
        ('type: "CTCLoss"', {"x": X, "m": (4, 3), "l": (3, 4)}, r"it must be \(4, 3\): steps, batch"),
        ('type: "CTCLoss" ctc_loss_param { output_delay: 4 }', {"x": X, "m": (4, 3), "l": (4, 3)}, "must be 0 to 3"),
        ('type: "WarpCTCLoss"', {"x": X, "s": (3,), "c": (2,), "l": (5, 3)}, r"it must be \(3,\)"),
    ],
)
def test_wrong_configuration_is_refused(layer, bottoms, message):
    check_refused(layer, bottoms, message)
