"""SPP, against Pooling layers of its levels."""

import numpy as np
import pytest
from support.layer_cases import Case, check_export, check_formula, check_gradient, check_refused

from engine.proto import caffe_pb2 as pb


def bins(height, reduce):
    """Every level by its definition: windows of ⌈size / bins⌉, padded evenly around the image."""

    def formula(x):
        parts = []
        for level in range(height):
            count = 2**level
            sizes = [-(-n // count) for n in x.shape[2:]]
            pads = [(s * count - n + 1) // 2 for s, n in zip(sizes, x.shape[2:], strict=True)]
            level_top = np.zeros((*x.shape[:2], count, count))
            for i in range(count):
                for j in range(count):
                    low = [i * sizes[0] - pads[0], j * sizes[1] - pads[1]]
                    rows = slice(max(low[0], 0), low[0] + sizes[0])
                    columns = slice(max(low[1], 0), low[1] + sizes[1])
                    ends = [min(a + s, n + p) - a for a, s, n, p in zip(low, sizes, x.shape[2:], pads, strict=True)]
                    level_top[:, :, i, j] = reduce(x[:, :, rows, columns], ends[0] * ends[1])
            parts.append(level_top.reshape(len(x), -1))
        return parts[0].reshape(*x.shape[:2], 1, 1) if height == 1 else np.concatenate(parts, 1)

    return formula


def maximum(window, size):
    return window.max((2, 3))


def average(window, size):
    return window.sum((2, 3)) / size


CASES = [
    Case("MAX", 'type: "SPP" spp_param { pyramid_height: 3 }', {"x": (2, 3, 10, 9)}, bins(3, maximum)),
    Case("AVE", 'type: "SPP" spp_param { pyramid_height: 3 pool: AVE }', {"x": (2, 2, 10, 9)}, bins(3, average)),
    Case("even bins", 'type: "SPP" spp_param { pyramid_height: 3 pool: AVE }', {"x": (1, 2, 8, 8)}, bins(3, average)),
    Case("one level", 'type: "SPP" spp_param { pyramid_height: 1 }', {"x": (2, 3, 5, 4)}, bins(1, maximum)),
    Case(
        "STOCHASTIC",
        'type: "SPP" spp_param { pyramid_height: 2 pool: STOCHASTIC }',
        {"x": np.random.default_rng(0).uniform(0.1, 1, (2, 2, 4, 6))},
        bins(2, lambda window, size: (window**2).sum((2, 3)) / window.sum((2, 3))),
        phase=pb.TEST,
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_tops_equal_the_bins(case):
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
        ("", (1, 2, 4, 4), "needs pyramid_height of 1 or more"),
        ("pyramid_height: 3", (1, 2, 5, 8), "cannot be pooled into 4 × 4 bins: .* Give pyramid_height: 2"),
        ("pyramid_height: 2", (2, 4, 4), "takes 4 axes"),
        ("pyramid_height: 2 pool: STOCHASTIC", (1, 2, 5, 4), "STOCHASTIC pooling takes no pad"),
    ],
)
def test_wrong_configuration_is_refused(options, shape, message):
    check_refused(f'type: "SPP" spp_param {{ {options} }}', {"x": shape}, message)
