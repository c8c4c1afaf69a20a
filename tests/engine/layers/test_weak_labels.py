"""UniqueLabel, BiasChannel, AdaptiveBiasChannel."""

import numpy as np
import pytest
from support.layer_cases import Case, Cases, assert_close, check_refused

LABELS = np.array([[3, 1, 1, 255], [2, 2, 2, 2]]).reshape(2, 1, 2, 2)
UNIQUE = 'type: "UniqueLabel" unique_label_param {{ max_labels: 3 ignore_label: 255 {} }}'.format
LISTED = np.array([[0, 2, -1], [1, 1, 255]]).reshape(2, 3, 1, 1)
BIAS = 'type: "BiasChannel" bias_channel_param {{ bg_bias: 1 fg_bias: 3 ignore_label: 255 {} }}'.format
ADAPTIVE = 'type: "AdaptiveBiasChannel" adaptive_bias_channel_param {{ bg_portion: 0.5 fg_portion: 0.3 {} }}'.format
X = {"x": (2, 3, 2, 2)}
PLACES = np.array([[0, 1, 2, -1], [255, 0, 2, 2]]).reshape(2, 1, 2, 2)


def raised(x, labels):
    return x + np.array([[1, 0, 3], [0, 6, 0]])[:, :, None, None]


def raised_by_place(x, labels):
    y = x.copy()
    for n, i, j in np.ndindex(2, 2, 2):
        label = int(labels[n, 0, i, j])
        if label in (-1, 255):
            continue
        y[n, 0, i, j] += 1
        if label:
            y[n, label, i, j] += 3
    return y


def adapted(x, labels):
    y = x.reshape(2, 3, 4).copy()
    for scores, given in zip(y, ([0, 2], [1]), strict=True):
        others = [c for c in range(3) if c not in given]
        lowest = scores[given].min(0)
        scores[others] = np.where(scores[others] > lowest, lowest - 1e-5, scores[others])
        top = scores[given].max(0)
        before = top.mean()
        for label in given * 2:
            scores[label] += np.sort(top - scores[label])[1 if label else 2]
            top = np.maximum(top, scores[label])
        scores[:] = scores + before - top.mean()
    return y.reshape(x.shape)


CASES = [
    Case("unique", UNIQUE(""), {"labels": LABELS}, lambda _: np.array([[1, 3, -1], [2, -1, -1]])[:, :, None, None]),
    Case(
        "unique, one forced",
        UNIQUE("force_label: 0"),
        {"labels": LABELS},
        lambda _: np.array([[0, 1, 3], [0, 2, -1]])[:, :, None, None],
    ),
    Case("bias by picture", BIAS(""), {**X, "labels": LISTED}, raised),
    Case("bias by place", BIAS("label_type: PIXEL"), {**X, "labels": PLACES}, raised_by_place),
    Case("adaptive", ADAPTIVE("num_iter: 2"), {**X, "labels": np.array([[2, 0], [1, -1]])[:, :, None, None]}, adapted),
]


class TestCases(Cases):
    cases = CASES


@pytest.mark.parametrize(
    ("layer", "bottoms"),
    [
        (UNIQUE(""), {"labels": np.arange(4.0).reshape(1, 1, 2, 2)}),
        (BIAS(""), {"x": np.ones((1, 3, 1, 1)), "labels": np.full((1, 1, 1, 1), 3.0)}),
        (ADAPTIVE(""), {"x": np.ones((1, 3, 1, 1)), "labels": np.full((1, 1, 1, 1), 3.0)}),
    ],
)
def test_labels_that_do_not_fit_give_nan(layer, bottoms):
    case = Case("does not fit", layer, bottoms)
    assert np.isnan(case.run([], case.values()[1])[0]).all()


def test_a_picture_without_labels_is_left_as_it_is():
    case = Case("no labels", ADAPTIVE(""), {"x": (1, 3, 2, 2), "labels": np.full((1, 2, 1, 1), -1.0)})
    bottoms = case.values()[1]
    assert_close(case.run([], bottoms)[0], bottoms["x"])


@pytest.mark.parametrize(
    ("layer", "bottoms", "message"),
    [
        (UNIQUE("force_label: 0 force_label: 1 force_label: 2"), {"labels": LABELS}, "more than the 3 force_label"),
        (UNIQUE(""), {"labels": (2, 3)}, "N × 1 × H × W"),
        (BIAS(""), {"x": (), "labels": (2, 1, 1, 1)}, "N × K × 1 × 1"),
        (BIAS(""), {**X, "labels": (2, 1, 2, 2)}, "N × K × 1 × 1"),
        (BIAS("background_label: 5 label_type: PIXEL"), {**X, "labels": PLACES}, "background_label is 5"),
        (ADAPTIVE(""), {"x": (2, 3, 0, 4), "labels": LISTED}, "has no positions"),
        (ADAPTIVE("num_iter: 0"), {**X, "labels": LISTED}, "num_iter is 0"),
        (ADAPTIVE("").replace("0.3", "1.3"), {**X, "labels": LISTED}, "must lie between 0 and 1"),
    ],
)
def test_wrong_configuration_is_refused(layer, bottoms, message):
    check_refused(layer, bottoms, message)
