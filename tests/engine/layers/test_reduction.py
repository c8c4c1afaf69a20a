"""Reduction and ArgMax."""

import numpy as np
import pytest
from support.layer_cases import Case, Cases, check_refused, slopes

X = {"x": (2, 3, 4)}
TIES = np.array([[1.0, 3, 3, 0], [2, 2, 2, 2]])
OF = 'type: "Reduction" reduction_param {{ {} }}'.format
ARG = 'type: "ArgMax" argmax_param {{ {} }}'.format


def largest(x, k):
    """Caffe's order along the last axis: by value, then by index, both falling."""
    order = np.lexsort((np.broadcast_to(np.arange(x.shape[-1]), x.shape), x), axis=-1)[..., ::-1][..., :k]
    return order, np.take_along_axis(x, order, -1)


CASES = [
    Case("sum of all", 'type: "Reduction"', X, np.sum),
    Case("sum", OF("axis: 1 coeff: -2"), X, lambda x: -2 * x.sum((1, 2))),
    Case("asum", OF("operation: ASUM axis: -1"), X, lambda x: np.abs(x).sum(2)),
    Case("sumsq", OF("operation: SUMSQ coeff: 0.5"), X, lambda x: np.sum(x**2) / 2),
    Case("mean", OF("operation: MEAN axis: 1 coeff: 3"), X, lambda x: 3 * x.mean((1, 2))),
    Case("sum of size 1", OF("axis: 1"), {"x": (4, 1)}, lambda x: x[:, 0]),
    Case("mean of nothing", OF("operation: MEAN axis: 1"), {"x": (2, 0)}, lambda x: np.zeros(2)),
    Case("argmax", 'type: "ArgMax"', X, lambda x: largest(x.reshape(2, -1), 1)[0][:, None]),
    Case("argmax 2 axes", ARG("top_k: 2"), {"x": (3, 5)}, lambda x: largest(x, 2)[0][:, None]),
    Case(
        "argmax 4 axes",
        ARG("top_k: 2"),
        {"x": (2, 3, 2, 2)},
        lambda x: largest(x.reshape(2, -1), 2)[0].reshape(2, 1, 2, 1),
    ),
    Case(
        "argmax and values", ARG("top_k: 3 out_max_val: true"), X, lambda x: np.stack(largest(x.reshape(2, -1), 3), 1)
    ),
    Case("argmax along an axis", ARG("axis: -1 top_k: 2"), X, lambda x: largest(x, 2)[0]),
    Case("values along an axis", ARG("axis: 1 out_max_val: true"), X, lambda x: x.max(1, keepdims=True)),
    Case("argmax of ties", ARG("axis: 1 top_k: 3"), {"x": TIES}, lambda x: largest(x, 3)[0]),
]


class TestCases(Cases):
    cases = CASES


REFUSED = [
    (OF("axis: 3"), X, "axis 3 is not one of"),
    (ARG("top_k: 1"), {"x": ()}, '"x" is a scalar'),
    (ARG("top_k: 0"), X, "top_k 0 is not 1 to 12"),
    (ARG("top_k: 13"), X, "top_k 13 is not 1 to 12"),
    (ARG("top_k: 4 axis: 1"), X, "top_k 4 is not 1 to 3"),
    (ARG("axis: 3"), X, "axis 3 is not one of"),
]


@pytest.mark.parametrize(("layer", "bottoms", "message"), REFUSED)
def test_wrong_configuration_is_refused(layer, bottoms, message):
    check_refused(layer, bottoms, message)


def test_asum_has_no_gradient_at_zero():
    np.testing.assert_array_equal(slopes(OF("operation: ASUM"), x=[0.0, -2.0])[0], [0, -1])
