"""Eltwise."""

import numpy as np
import pytest
from support.layer_cases import Case, Cases, check_refused, slopes

TWO = {"a": (2, 3, 4), "b": (2, 3, 4)}
THREE = {**TWO, "c": (2, 3, 4)}
OF = 'type: "Eltwise" eltwise_param {{ operation: {} }}'.format

CASES = [
    Case("sum by default", 'type: "Eltwise"', THREE, lambda a, b, c: a + b + c),
    Case("sum with coeff", OF("SUM coeff: 2 coeff: 0 coeff: -1"), THREE, lambda a, b, c: 2 * a - c),
    Case("scaled", OF("SUM coeff: 0.25"), {"a": (2, 3)}, lambda a: a / 4),
    Case("product", OF("PROD"), THREE, lambda a, b, c: a * b * c),
    Case("product, unstable", OF("PROD stable_prod_grad: false"), TWO, lambda a, b: a * b),
    Case("max", OF("MAX"), THREE, lambda a, b, c: np.maximum(np.maximum(a, b), c)),
    Case("sum of nothing", 'type: "Eltwise"', {"a": (0, 3), "b": (0, 3)}, lambda a, b: a + b),
    Case("max of scalars", OF("MAX"), {"a": (), "b": ()}, np.maximum),
]


class TestCases(Cases):
    cases = CASES


REFUSED = [
    ('type: "Eltwise"', {"a": (2, 3), "b": (2, 3, 1)}, r'"b" has shape \[2, 3, 1\] and bottom "a" \[2, 3\]'),
    ('type: "Eltwise"', {"a": (2, 3)}, "1 bottoms and takes at least 2"),
    (OF("MAX"), {"a": (2, 3)}, "1 bottoms and takes at least 2; one is enough for operation: SUM with a coeff"),
    (OF("SUM coeff: 1"), TWO, "1 coeff for 2 bottoms"),
    (OF("PROD coeff: 1 coeff: 2"), TWO, "coeff is for operation SUM, not for PROD"),
]


@pytest.mark.parametrize(("layer", "bottoms", "message"), REFUSED)
def test_wrong_configuration_is_refused(layer, bottoms, message):
    check_refused(layer, bottoms, message)


def test_max_gives_the_gradient_of_ties_as_caffe_does():
    a, b, c = slopes(OF("MAX"), a=[1.0, 2.0, 0.0], b=[1.0, 1.0, 1.0], c=[1.0, 2.0, 1.0])
    np.testing.assert_array_equal((a, b, c), ([0, 1, 0], [1, 0, 1], [0, 0, 0]))


def test_product_has_the_gradient_at_zero():
    a, b = slopes(OF("PROD"), a=[0.0, 3.0], b=[2.0, 0.0])
    np.testing.assert_array_equal((a, b), ([2, 0], [0, 3]))
