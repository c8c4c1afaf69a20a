"""MultiLabelLoss of both forks, and MultiLabelAccuracy: against loops."""

import numpy as np
import pytest
from support.layer_cases import Case, Cases, assert_close, check_export, check_refused, net_of

T = np.array([[1.0, -1, 0], [0.4, -2, 1]])
EDGES = np.array([[[[1.0, 0], [0, 255]], [[0, 0], [1, 255]]], [[[0, 0], [0, 0]], [[0, 0], [0, 255]]]])
BALANCED = 'type: "MultiLabelLoss" loss_param { ignore_label: 255 }'
ACCURACY = 'type: "MultiLabelAccuracy"'


def of_signs(x, t):
    return sum(np.log1p(np.exp(-np.sign(b) * a)) for a, b in zip(x.ravel(), t.ravel(), strict=True) if b) / len(x)


def balanced(x, t):
    loss = 0.0
    for item, marks in zip(x, t, strict=True):
        places = marks.reshape(len(marks), -1).T
        some = sum(1 in place for place in places)
        none = sum(1 not in place and 0 in place for place in places)
        for score, mark in zip(item.ravel(), marks.ravel(), strict=True):
            if mark in (0, 1):
                share = (none if mark else some) / (some + none)
                loss += share * np.log1p(np.exp(-score if mark else score))
    return loss / len(x)


class TestCases(Cases):
    cases = (
        Case("signs", 'type: "MultiLabelLoss"', {"x": (2, 3), "t": T}, of_signs),
        Case("none counts", 'type: "MultiLabelLoss"', {"x": (2, 3), "t": 0 * T}, lambda x, t: 0.0),
        Case("edges", BALANCED, {"x": EDGES.shape, "t": EDGES}, balanced),
        Case("ignored", BALANCED, {"x": EDGES.shape, "t": 0 * EDGES + 255}, lambda x, t: 0.0),
    )


def figures(x, t):
    case = Case("accuracy", ACCURACY, {"x": np.array([x], float), "t": np.array([t], float)})
    return case.run([], case.values()[1])[0]


def test_accuracy_compares_signs():
    top = figures([2, 0, -1, 3, -2, 1, -4], [1, 1, 1, -1, -1, 0, -3])
    recall, specificity = 2 / 3, 2 / 3
    assert top.shape == (1, 5, 1, 1)
    mean = 2 / (1 / recall + 1 / specificity)
    assert_close(top.ravel(), [recall, specificity, mean, 2 / 3, 4 / (4 + 1 + 1)])


@pytest.mark.parametrize(
    ("x", "t", "want"),
    [
        ([-1, -1], [1, -1], [0, 1, 0, 0, 0]),
        ([1, 1], [1, -1], [1, 0, 0, 0.5, 2 / 3]),
        ([1, 1], [0, 0.9], [0, 0, 0, 0, 0]),
    ],
)
def test_shares_of_nothing(x, t, want):
    assert_close(figures(x, t).ravel(), want)


def test_mean_is_no_number_without_negatives():
    np.testing.assert_array_equal(figures([1, 1], [1, 0]).ravel(), [1, 0, np.nan, 1, 1])


def test_accuracy_has_no_gradient_and_lowers_for_cuda():
    case = Case("accuracy", ACCURACY, {"x": (2, 3), "t": T})
    assert not case.differentiable()
    check_export(case)


@pytest.mark.parametrize("layer", ['type: "MultiLabelLoss"', ACCURACY])
def test_as_many_targets_as_scores_are_needed(layer):
    check_refused(layer, {"x": (2, 3), "t": (2, 4)}, r'"x" has shape \[2, 3\] and bottom "t" \[2, 4\]')


def test_balanced_loss_takes_equal_shapes():
    check_refused(BALANCED, {"x": (2, 3, 4), "t": (2, 4, 3)}, r"it takes two of one shape")


def test_targets_from_the_data_may_be_any_number():
    assert list(net_of('type: "MultiLabelLoss"', {"x": (2, 3), "t": (2, 3)}).label_bounds) == ["t"]
