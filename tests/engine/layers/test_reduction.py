"""Reduction and ChannelNorm."""

import numpy as np
from support.layer_cases import Case, Cases, check_refused, slopes

X = {"x": (2, 3, 4)}
OF = 'type: "Reduction" reduction_param {{ {} }}'.format

CASES = [
    Case("sum of all", 'type: "Reduction"', X, np.sum),
    Case("sum", OF("axis: 1 coeff: -2"), X, lambda x: -2 * x.sum((1, 2))),
    Case("asum", OF("operation: ASUM axis: -1"), X, lambda x: np.abs(x).sum(2)),
    Case("sumsq", OF("operation: SUMSQ coeff: 0.5"), X, lambda x: np.sum(x**2) / 2),
    Case("mean", OF("operation: MEAN axis: 1 coeff: 3"), X, lambda x: 3 * x.mean((1, 2))),
    Case("sum of size 1", OF("axis: 1"), {"x": (4, 1)}, lambda x: x[:, 0]),
    Case("norm", 'type: "ChannelNorm"', X, lambda x: np.sqrt((x**2).sum(1, keepdims=True))),
    Case("mean of nothing", OF("operation: MEAN axis: 1"), {"x": (2, 0)}, lambda x: np.zeros(2)),
]


class TestCases(Cases):
    cases = CASES


def test_an_axis_that_is_not_there_is_refused():
    check_refused(OF("axis: 3"), X, "axis 3 is not one of")


def test_asum_has_no_gradient_at_zero():
    np.testing.assert_array_equal(slopes(OF("operation: ASUM"), x=[0.0, -2.0])[0], [0, -1])


def test_the_norm_of_zeros_has_no_slope():
    assert not slopes('type: "ChannelNorm"', x=np.zeros((1, 2, 3)))[0].any()
