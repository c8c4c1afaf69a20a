"""Reorg."""

import numpy as np
import pytest
from support.layer_cases import Case, Cases, check_refused

X = {"x": (2, 8, 4, 6)}
REORG = 'type: "Reorg" reorg_param {{ stride: 2 {} }}'.format


def darknet(stride, x, forward):
    """Value by value, over flat arrays, as Darknet does it; `forward` is what Reorg calls reverse."""
    n, c, h, w = x.shape
    flat, out = x.reshape(n, -1), np.zeros((n, c * h * w))
    for k, j, i in np.ndindex(c, h, w):
        place, channel = divmod(k, c // stride**2)
        row, column = j * stride + place // stride, i * stride + place % stride
        here, there = i + w * (j + h * k), column + w * stride * (row + h * stride * channel)
        if forward:
            out[:, there] = flat[:, here]
        else:
            out[:, here] = flat[:, there]
    return out


class TestCases(Cases):
    cases = (
        Case("reorg", REORG(""), X, lambda x: darknet(2, x, False).reshape(2, 32, 2, 3)),
        Case("reverse", REORG("reverse: true"), X, lambda x: darknet(2, x, True).reshape(2, 2, 8, 12)),
    )


@pytest.mark.parametrize(
    ("layer", "bottoms", "message"),
    [
        ('type: "Reorg"', X, "needs a stride of 1 or more"),
        (REORG(""), {"x": (2, 6, 4, 6)}, "C a multiple of 4"),
        (REORG(""), {"x": (2, 8, 3, 6)}, "is of 3×6; both must be multiples of the stride, 2"),
    ],
)
def test_wrong_configuration_is_refused(layer, bottoms, message):
    check_refused(layer, bottoms, message)
