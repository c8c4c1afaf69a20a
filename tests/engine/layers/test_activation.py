"""Element-wise layers."""

import numpy as np
import pytest
from harness import Case, check_export, check_formula, check_gradient

CASES = [
    Case("relu", 'type: "ReLU"', {"x": (2, 3, 4)}, lambda x: np.maximum(x, 0)),
    Case("relu empty", 'type: "ReLU"', {"x": (2, 0, 4)}, lambda x: x),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_tops_equal_the_formula(case):
    check_formula(case)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_gradient_is_the_numerical_one(case):
    check_gradient(case)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_step_lowers_for_cuda(case):
    check_export(case)
