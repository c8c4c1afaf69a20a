"""LRN, against sums over each element's neighbours."""

import numpy as np
import pytest
from support.layer_cases import Case, check_export, check_formula, check_gradient, check_refused


def across(size, alpha, beta, k):
    def formula(x):
        reach, channels = size // 2, x.shape[1]
        squares = [np.sum(x[:, max(c - reach, 0) : c + reach + 1] ** 2, 1) for c in range(channels)]
        return x * (k + alpha / size * np.stack(squares, 1)) ** -beta

    return formula


def within(size, alpha, beta):
    def formula(x):
        reach, y = size // 2, np.empty_like(x)
        for i in range(x.shape[2]):
            for j in range(x.shape[3]):
                around = x[:, :, max(i - reach, 0) : i + reach + 1, max(j - reach, 0) : j + reach + 1]
                y[:, :, i, j] = x[:, :, i, j] * (1 + alpha / size**2 * np.sum(around**2, (2, 3))) ** -beta
        return y

    return formula


CASES = [
    Case("defaults", 'type: "LRN"', {"x": (2, 7, 3, 4)}, across(5, 1, 0.75, 1)),
    Case(
        "k 2",
        'type: "LRN" lrn_param { alpha: 0.3 beta: 0.5 k: 2 }',
        {"x": (2, 6, 2, 3)},
        across(5, 0.3, 0.5, 2),
    ),
    Case("size 1", 'type: "LRN" lrn_param { local_size: 1 }', {"x": (2, 3, 2, 2)}, across(1, 1, 0.75, 1)),
    Case("beyond the channels", 'type: "LRN" lrn_param { local_size: 9 }', {"x": (2, 3, 2, 2)}, across(9, 1, 0.75, 1)),
    Case("one channel", 'type: "LRN"', {"x": (2, 1, 2, 2)}, across(5, 1, 0.75, 1)),
    Case("engine", 'type: "LRN" lrn_param { local_size: 3 engine: CUDNN }', {"x": (1, 4, 2, 2)}, across(3, 1, 0.75, 1)),
    Case(
        "within",
        'type: "LRN" lrn_param { norm_region: WITHIN_CHANNEL local_size: 3 alpha: 0.5 }',
        {"x": (2, 3, 6, 5)},
        within(3, 0.5, 0.75),
    ),
    Case(
        "within, whatever k",
        'type: "LRN" lrn_param { norm_region: WITHIN_CHANNEL local_size: 5 beta: 0.9 k: 7 }',
        {"x": (1, 2, 4, 7)},
        within(5, 1, 0.9),
    ),
    Case(
        "within more than the plane",
        'type: "LRN" lrn_param { norm_region: WITHIN_CHANNEL local_size: 7 }',
        {"x": (1, 2, 2, 3)},
        within(7, 1, 0.75),
    ),
    Case("empty batch", 'type: "LRN"', {"x": (0, 3, 2, 2)}, across(5, 1, 0.75, 1)),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_tops_equal_the_sums(case):
    check_formula(case)


@pytest.mark.parametrize("case", [case for case in CASES if case.name != "empty batch"], ids=str)
def test_gradient_is_the_numerical_one(case):
    check_gradient(case)


@pytest.mark.parametrize("case", [CASES[0], CASES[6]], ids=str)
def test_step_lowers_for_cuda(case):
    check_export(case)


@pytest.mark.parametrize("size", [0, 4])
def test_an_even_size_is_refused(size):
    layer = f'type: "LRN" lrn_param {{ local_size: {size} }}'
    check_refused(layer, {"x": (1, 2, 3, 3)}, f"local_size is {size}; it must be odd")


def test_four_axes_are_asked_for():
    check_refused('type: "LRN"', {"x": (2, 3)}, "takes 4 axes")
