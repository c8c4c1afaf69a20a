"""Im2col, against its columns written out one by one."""

from itertools import product

import numpy as np
import pytest
from support.layer_cases import Case, check_export, check_formula, check_gradient, check_refused


def columns(kernel, stride, pad, dilation):
    def formula(x):
        inputs = x.shape[2:]
        extents = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
        outputs = [(n + 2 * p - e) // s + 1 for n, p, e, s in zip(inputs, pad, extents, stride, strict=True)]
        y = np.zeros((x.shape[0], x.shape[1], int(np.prod(kernel)), *outputs))
        for t, k in enumerate(product(*map(range, kernel))):
            for o in product(*map(range, outputs)):
                i = tuple(a * s - p + b * d for a, s, p, b, d in zip(o, stride, pad, k, dilation, strict=True))
                if all(0 <= a < n for a, n in zip(i, inputs, strict=True)):
                    y[:, :, t, *o] = x[:, :, *i]
        return y.reshape(len(x), -1, *outputs)

    return formula


CASES = [
    Case(name, f'type: "Im2col" convolution_param {{ {options} }}', {"x": shape}, formula)
    for name, options, shape, formula in [
        ("stride and pad", "kernel_size: 3 stride: 2 pad: 1", (2, 3, 6, 5), columns((3, 3), (2, 2), (1, 1), (1, 1))),
        ("dilation", "kernel_size: 2 dilation: 2", (1, 2, 5, 4), columns((2, 2), (1, 1), (0, 0), (2, 2))),
        ("_h and _w", "kernel_h: 1 kernel_w: 3 pad_w: 2", (1, 2, 3, 4), columns((1, 3), (1, 1), (0, 2), (1, 1))),
        ("1 axis", "kernel_size: 3", (2, 2, 6), columns((3,), (1,), (0,), (1,))),
        (
            "3 axes",
            "kernel_size: [1, 2, 2] force_nd_im2col: true",
            (1, 2, 2, 3, 3),
            columns((1, 2, 2), (1,) * 3, (0,) * 3, (1,) * 3),
        ),
    ]
] + [
    Case(
        "axis 2",
        'type: "Im2col" convolution_param { kernel_size: 2 axis: 2 }',
        {"x": (2, 3, 2, 4)},
        lambda x: columns((2,), (1,), (0,), (1,))(x.reshape(6, 2, 4)).reshape(2, 3, 4, 3),
    )
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_tops_equal_the_columns(case):
    check_formula(case)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_gradient_is_the_numerical_one(case):
    check_gradient(case)


@pytest.mark.parametrize("case", CASES[:1], ids=str)
def test_step_lowers_for_cuda(case):
    check_export(case)


@pytest.mark.parametrize(
    ("options", "shape", "message"),
    [
        ("", (1, 2, 4, 4), "needs kernel_size"),
        ("kernel_size: 5", (1, 2, 4, 4), "a 5×5 kernel does not fit"),
        ("kernel_size: 1 axis: 3", (1, 2, 4, 4), "has no axis behind axis 3"),
    ],
)
def test_wrong_configuration_is_refused(options, shape, message):
    check_refused(f'type: "Im2col" convolution_param {{ {options} }}', {"x": shape}, message)
