"""EuclideanLoss, SigmoidCrossEntropyLoss, ContrastiveLoss."""

import numpy as np
import pytest
from support.layer_cases import (
    Case,
    assert_close,
    check_export,
    check_formula,
    check_gradient,
    check_refused,
    net_of,
    slopes,
)

AB = {"a": (3, 4), "b": (3, 4)}
TARGETS = np.array([[0, 1, 0.3], [9, 1, 0]])
XT = {"x": (2, 3), "t": TARGETS}
ALIKE = np.array([1, 0, 0, 1, 0])
PAIRS = {"a": (5, 4), "b": (5, 4), "y": ALIKE}
SIGMOID = 'type: "SigmoidCrossEntropyLoss" '
CONTRASTIVE = 'type: "ContrastiveLoss" contrastive_loss_param {{ {} }}'.format


def cross_entropy(n, ignore=None):
    def formula(x, t):
        p, valid = 1 / (1 + np.exp(-x)), t.astype(int) != ignore
        return -np.sum(np.where(valid, t * np.log(p) + (1 - t) * np.log(1 - p), 0)) / (n or valid.sum())

    return formula


def weighted(x, t, w):
    p, w = 1 / (1 + np.exp(-x)), w.reshape(x.shape)
    return -np.sum(w * (t * np.log(p) + (1 - t) * np.log(1 - p))) / w.sum()


def contrastive(margin, legacy=False):
    def formula(a, b, y):
        d2 = ((a - b).reshape(len(y), -1) ** 2).sum(1)
        apart = np.maximum(margin - d2, 0) if legacy else np.maximum(margin - np.sqrt(d2), 0) ** 2
        return np.where(y.reshape(-1) != 0, d2, apart).sum() / 2 / len(y)

    return formula


CASES = [
    Case("euclidean", 'type: "EuclideanLoss"', AB, lambda a, b: np.sum((a - b) ** 2) / 6),
    Case(
        "euclidean of two shapes",
        'type: "EuclideanLoss"',
        {"a": (3, 4), "b": (3, 2, 2)},
        lambda a, b: np.sum((a - b.reshape(3, 4)) ** 2) / 6,
    ),
    Case("euclidean of nothing", 'type: "EuclideanLoss"', {"a": (0, 4), "b": (0, 4)}, lambda a, b: 0.0),
    Case("sigmoid", SIGMOID, XT, cross_entropy(2)),
    Case("sigmoid, valid", SIGMOID + "loss_param { ignore_label: 9 normalization: VALID }", XT, cross_entropy(5, 9)),
    Case("sigmoid, normalize", SIGMOID + "loss_param { ignore_label: 9 normalize: true }", XT, cross_entropy(5, 9)),
    Case("sigmoid, full", SIGMOID + "loss_param { ignore_label: 9 normalization: FULL }", XT, cross_entropy(6, 9)),
    Case("sigmoid, none", SIGMOID + "loss_param { normalization: NONE }", XT, cross_entropy(1)),
    Case("sigmoid, zero ignored", SIGMOID + "loss_param { ignore_label: 0 }", XT, cross_entropy(2, 0)),
    Case("sigmoid, weighted", SIGMOID, {**XT, "w": np.array([[1, 0, 2], [0.5, 0, 3]])}, weighted),
    Case("sigmoid, all weights 0", SIGMOID, {**XT, "w": np.zeros((2, 3, 1))}, lambda x, t, w: 0.0),
    Case("sigmoid far out", SIGMOID, {"x": np.array([[200.0, -200.0]]), "t": np.zeros((1, 2))}, lambda x, t: 200.0),
    Case("contrastive", CONTRASTIVE("margin: 3"), PAIRS, contrastive(3)),
    Case("contrastive, legacy", CONTRASTIVE("margin: 9 legacy_version: true"), PAIRS, contrastive(9, legacy=True)),
    Case(
        "contrastive of 4 axes",
        CONTRASTIVE("margin: 1"),
        {"a": (2, 3, 1, 1), "b": (2, 3, 1, 1), "y": np.array([[1], [2]])},
        contrastive(1),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_tops_equal_the_formula(case):
    check_formula(case)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_gradient_is_the_numerical_one(case):
    check_gradient(case, rtol=1e-3 if "contrastive" in case.name else 1e-5)  # it adds 10⁻⁴ to each distance


@pytest.mark.parametrize("case", CASES, ids=str)
def test_step_lowers_for_cuda(case):
    check_export(case)


REFUSED = [
    ('type: "EuclideanLoss"', {"a": (), "b": ()}, '"a" is a scalar'),
    ('type: "EuclideanLoss"', {"a": (3, 4), "b": (4, 3)}, r'"a" has shape \[3, 4\] and bottom "b" \[4, 3\]'),
    ('type: "EuclideanLoss"', {"a": (3, 4), "b": (3, 5)}, "as many values"),
    (
        SIGMOID,
        {"x": (3, 4), "t": (3, 4), "w": (3,)},
        r'"w" has shape \[3\] and bottom "x" \[3, 4\]; give each score a w',
    ),
    (SIGMOID, {"x": (3, 4), "t": (3,)}, r'"x" has shape \[3, 4\] and bottom "t" \[3\]; they need as many'),
    (CONTRASTIVE(""), {"a": (5, 4), "b": (5, 3), "y": (5,)}, "of the same C"),
    (CONTRASTIVE(""), {"a": (5, 4, 2, 1), "b": (5, 4, 2, 1), "y": (5,)}, r"both must be \(N, C\)"),
    (CONTRASTIVE(""), {"a": (5, 4), "b": (5, 4), "y": (5, 2)}, "one value for each of the 5 pairs"),
    (CONTRASTIVE(""), {"a": (5, 4), "b": (5, 4), "y": (4,)}, "same first dimension"),
    (CONTRASTIVE(""), AB, "2 bottoms and takes 3"),
]


@pytest.mark.parametrize(("layer", "bottoms", "message"), REFUSED)
def test_wrong_configuration_is_refused(layer, bottoms, message):
    check_refused(layer, bottoms, message)


def test_contrastive_gradient_of_equal_unlike_items_is_zero():
    a, b = slopes(CONTRASTIVE(""), a=[[1.0, 2]], b=[[1.0, 2]], y=[0])
    np.testing.assert_array_equal((a, b), 0)


def test_contrastive_gradient_adds_to_the_distance_as_caffe_does():
    a, _ = slopes(CONTRASTIVE(""), a=[[3e-4, 0]], b=[[0.0, 0]], y=[0])
    assert_close(a, np.array([[-(1 - 3e-4) * 3e-4 / 4e-4, 0]]))


@pytest.mark.parametrize(
    ("layer", "blobs"),
    [("EuclideanLoss", "xt"), ("L1Loss", "xt"), ("SmoothL1Loss", "xt"), ("SigmoidCrossEntropyLoss", "t")],
)
def test_targets_from_the_data_are_finite_numbers(layer, blobs):
    net = net_of(f'type: "{layer}"', {"x": (2, 3), "t": (2, 3)})
    assert {blob: bounds.classes for blob, (bounds,) in net.label_bounds.items()} == dict.fromkeys(blobs)
    assert not net.unchecked_labels
