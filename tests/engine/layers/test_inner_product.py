"""InnerProduct."""

import pytest
from support.layer_cases import Case, Cases, check_refused

X = {"x": (2, 3, 4)}
OF = 'type: "InnerProduct" inner_product_param {{ {} }}'.format

CASES = [
    Case("ip", OF("num_output: 5"), X, lambda x, w, b: x.reshape(2, 12) @ w.T + b),
    Case("no bias", OF("num_output: 5 bias_term: false"), X, lambda x, w: x.reshape(2, 12) @ w.T),
    Case("transpose", OF("num_output: 5 transpose: true"), X, lambda x, w, b: x.reshape(2, 12) @ w + b),
    Case("last axis", OF("num_output: 5 axis: -1"), X, lambda x, w, b: x @ w.T + b),
    Case("all axes", OF("num_output: 5 axis: 0"), X, lambda x, w, b: w @ x.reshape(24) + b),
    Case("of size 1", OF("num_output: 1"), {"x": (1, 1)}, lambda x, w, b: x @ w.T + b),
    Case("no items", OF("num_output: 5"), {"x": (0, 3)}, lambda x, w, b: x @ w.T + b),
    Case("no features", OF("num_output: 5"), {"x": (2, 0)}, lambda x, w, b: x @ w.T + b),
]


class TestCases(Cases):
    cases = CASES


REFUSED = [
    (OF(""), X, "num_output of 1 or more"),
    (OF("num_output: 5 axis: 3"), X, "axis 3 is not one of"),
    (OF("num_output: 5 bias_term: false") + " param { } param { }", X, "1 parameters and 2 param blocks"),
]


@pytest.mark.parametrize(("layer", "bottoms", "message"), REFUSED)
def test_wrong_configuration_is_refused(layer, bottoms, message):
    check_refused(layer, bottoms, message)
