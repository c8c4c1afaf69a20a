"""DeformableConvolution: against a loop over taps, and without offsets against Convolution."""

import numpy as np
import pytest
from support.layer_cases import Case, Cases, assert_close, check_refused

PARAM = "num_output: 2 kernel_size: 3 pad: 1 stride: 2 group: {} deformable_group: {}"
LAYER = f'type: "DeformableConvolution" deformable_convolution_param {{{{ {PARAM} }}}}'.format
BOTTOMS = {"x": (2, 4, 5, 6), "offsets": (2, 36, 3, 3)}


def value(plane, row, column):
    if not (0 <= row < plane.shape[0] and 0 <= column < plane.shape[1]):
        return 0
    row, column = min(row, plane.shape[0] - 1), min(column, plane.shape[1] - 1)
    rows, columns = (
        np.maximum(0, 1 - np.abs(np.arange(d) - v)) for d, v in zip(plane.shape, (row, column), strict=True)
    )
    return rows @ plane @ columns


def deformed(x, offsets, w, b):
    y = np.zeros((2, 2, 3, 3)) + b[:, None, None]
    moves = offsets.reshape(2, 2, 3, 3, 2, 3, 3)
    for n, c, k, m, i, j in np.ndindex(2, 4, 3, 3, 3, 3):
        down, right = moves[n, c // 2, k, m, :, i, j]
        seen = value(x[n, c], 2 * i - 1 + k + down, 2 * j - 1 + m + right)
        outputs = slice(None) if w.shape[1] == 4 else slice(c // 2, c // 2 + 1)
        y[n, outputs, i, j] += w[outputs, c % w.shape[1], k, m] * seen
    return y


CASES = [
    Case("two groups that move", LAYER(1, 2), BOTTOMS, deformed),
    Case("two groups of weights too", LAYER(2, 2), BOTTOMS, deformed),
]


class TestCases(Cases):
    cases = CASES


def test_unmoved_it_is_a_convolution():
    moved = Case("moved", LAYER(1, 2), BOTTOMS)
    plain = Case(
        "plain",
        'type: "Convolution" convolution_param { num_output: 2 kernel_size: 3 pad: 1 stride: 2 }',
        {"x": BOTTOMS["x"]},
    )
    params, bottoms = moved.values()
    (y,) = moved.run(params, {**bottoms, "offsets": 0 * bottoms["offsets"]})
    assert_close(y, plain.run(params, {"x": bottoms["x"]})[0])


@pytest.mark.parametrize(
    ("layer", "bottoms", "message"),
    [
        (LAYER(1, 3), BOTTOMS, "do not split into deformable_group: 3"),
        (LAYER(1, 1), BOTTOMS, r"needs \[2, 18, 3, 3\]"),
        (LAYER(1, 2), {"x": (4, 5, 6), "offsets": (36, 3, 3)}, "N × C × H × W"),
    ],
)
def test_wrong_configuration_is_refused(layer, bottoms, message):
    check_refused(layer, bottoms, message)
