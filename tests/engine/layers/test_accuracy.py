"""Accuracy."""

import numpy as np
import pytest
from support.layer_cases import Case, Cases, check_refused

from engine.proto import caffe_pb2 as pb

LABELS = np.array([1, 0, 3, 2, 1, 1])
XT = {"x": (6, 5), "t": LABELS}
MAPS = np.random.default_rng(2).integers(0, 3, (2, 4, 2))
TIES = np.array([[1.0, 1, 0], [0, 1, 0], [0, 0, 1]])
OF = 'type: "Accuracy" accuracy_param {{ {} }}'.format


def accuracy(top_k=1, ignore=None, axis=1, by_class=False):
    def formula(x, t):
        rows, t = np.moveaxis(x, axis, -1).reshape(-1, x.shape[axis]), t.reshape(-1).astype(int)
        found = (rows >= rows[range(len(t)), np.minimum(t, rows.shape[1] - 1)][:, None]).sum(1) <= top_k
        valid = t != ignore
        share = found[valid].mean() if valid.any() else 0.0
        classes = [found[t == c].mean() if (t == c).any() and c != ignore else 0.0 for c in range(rows.shape[1])]
        return (share, np.array(classes)) if by_class else share

    return formula


CASES = [
    Case("top 1", 'type: "Accuracy"', XT, accuracy()),
    Case("distances", OF("min_is_better: true"), XT, lambda x, t: accuracy()(-x, t)),
    Case("top 3", OF("top_k: 3"), XT, accuracy(3)),
    Case("by class", OF("top_k: 2"), XT, accuracy(2, by_class=True), tops=2),
    Case("ignore", OF("ignore_label: 1"), XT, accuracy(ignore=1, by_class=True), tops=2),
    Case("ignore outside the classes", OF("ignore_label: 2"), {"x": (2, 2), "t": np.array([2, 1])}, accuracy(ignore=2)),
    Case("all ignored", OF("ignore_label: 7"), {"x": (2, 5), "t": np.array([7, 7])}, lambda x, t: 0.0),
    Case("maps", 'type: "Accuracy"', {"x": (2, 3, 4, 2), "t": MAPS}, accuracy(by_class=True), tops=2),
    Case("last axis", OF("axis: -1"), {"x": (2, 4, 2, 3), "t": MAPS}, accuracy(axis=-1)),
    Case("first axis", OF("axis: 0"), {"x": (5, 6), "t": LABELS}, accuracy(axis=0)),
    Case("ties count against the label", 'type: "Accuracy"', {"x": TIES, "t": np.array([0, 1, 2])}, lambda x, t: 2 / 3),
    Case("no items", 'type: "Accuracy"', {"x": (0, 3), "t": (0,)}, lambda x, t: 0.0),
]


class TestCases(Cases):
    cases = CASES


REFUSED = [
    (OF("top_k: 6"), XT, "top_k 6 is not 1 to 5"),
    (OF("top_k: 0"), XT, "top_k 0 is not 1 to 5"),
    ('type: "Accuracy"', {"x": (6, 5), "t": (5,)}, r"\[5\] has 5 labels and .* \[6, 5\] has 6 predictions"),
    (OF("axis: 2"), XT, "axis 2 is not one of"),
]


@pytest.mark.parametrize(("layer", "bottoms", "message"), REFUSED)
def test_wrong_configuration_is_refused(layer, bottoms, message):
    check_refused(layer, bottoms, message)


def test_ignored_label_is_no_error():
    case = Case("bounds", OF("ignore_label: 255"), XT, phase=pb.TEST)
    assert case.net.label_bounds["t"][0].ignore == 255
