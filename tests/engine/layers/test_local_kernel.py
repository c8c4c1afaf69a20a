"""NegSquare and ExpMax, with the peculiarities of their fork."""

import numpy as np
import pytest
from support.layer_cases import Case, assert_close, check_export, check_formula, check_refused, slopes

X = {"x": (3, 4, 2, 2)}
NEG_SQUARE = 'type: "NegSquare"'
EXP_MAX = 'type: "ExpMax" expmax_param {{ {} }}'.format


def exp_max(base, scale, shift):
    def formula(x):
        largest = x.max(1, keepdims=True)
        largest[1:] = 0
        return base ** (scale * (x - largest) + shift)

    return formula


CASES = [
    Case("square", NEG_SQUARE, X, lambda x: -(x**2)),
    Case("e", EXP_MAX(""), X, exp_max(np.e, 1, 0)),
    Case("other base", EXP_MAX("base: 2 scale: 0.5 shift: 3"), X, exp_max(2, 0.5, 3)),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_tops_equal_the_formula(case):
    check_formula(case)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_step_lowers_for_cuda(case):
    check_export(case)


def test_square_has_no_gradient():
    assert not np.any(slopes(NEG_SQUARE, x=np.ones((2, 3))))


def test_gradient_leaves_the_maximum_out():
    x = np.random.default_rng(0).standard_normal((2, 3, 1, 2)).astype(np.float32)
    (dx,) = slopes(EXP_MAX("base: 2 scale: 0.5"), x=x)
    assert_close(dx, 0.5 * np.log(2) * exp_max(2, 0.5, 0)(x))


def test_wrong_configuration_is_refused():
    check_refused(EXP_MAX("base: 0"), X, "base is 0; it must be above 0, or -1 for e")
    check_refused(EXP_MAX(""), {"x": (3, 4)}, r"has shape \[3, 4\]")
    check_refused(EXP_MAX(""), {"x": (3, 0, 2, 2)}, "needs one channel or more")
