"""InnerProduct."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support.layer_cases import Case, Cases, assert_close, check_formula, check_refused

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


def unit(w):
    return w / np.sqrt(np.sum(np.square(w), axis=1, keepdims=True) + 1e-6)


def test_normalized_weights_stay_so_and_have_the_gradient_of_the_product():
    case = Case("unit", OF("num_output: 5 normalize: true"), X, lambda x, w, b: x.reshape(2, 12) @ unit(w).T + b)
    check_formula(case)
    net, given = case.net, case.values()[1]
    weight = np.linspace(-1, 2, 60, dtype=np.float32).reshape(5, 12)
    params = [weight, np.ones(5, np.float32)]
    assert_close(net.forward(params, given).updates[0], unit(weight))
    pulled = jax.grad(lambda w: jnp.sum(net.forward([w, params[1]], given).outputs["y0"]))(jnp.asarray(weight))
    assert_close(pulled, np.tile(np.sum(given["x"].reshape(2, 12), axis=0), (5, 1)))


REFUSED = [
    (OF("num_output: 5 normalize: true transpose: true"), X, "leave transpose out"),
    (OF(""), X, "num_output of 1 or more"),
    (OF("num_output: 5 axis: 3"), X, "axis 3 is not one of"),
    (OF("num_output: 5 bias_term: false") + " param { } param { }", X, "1 parameters and 2 param blocks"),
]


@pytest.mark.parametrize(("layer", "bottoms", "message"), REFUSED)
def test_wrong_configuration_is_refused(layer, bottoms, message):
    check_refused(layer, bottoms, message)
