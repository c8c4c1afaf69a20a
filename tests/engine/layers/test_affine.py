"""Scale, Bias, Axpy, SpatialProduct."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support.layer_cases import Case, Cases, check_refused

X = {"x": (2, 3, 4, 5)}
SCALE = 'type: "Scale" scale_param'
BIAS = 'type: "Bias" bias_param'

CASES = [
    Case("mul", 'type: "Mul"', {"a": (2, 1, 3), "b": (4, 1)}, lambda a, b: a * b),
    Case("mul by a parameter", 'type: "Mul" mul_param { mul_shape: 3 }', {"a": (2, 3)}, lambda a, b: a * b),
    Case("scale", 'type: "Scale"', X, lambda x, s: x * s[:, None, None]),
    Case(
        "scale and bias", f"{SCALE} {{ bias_term: true }}", X, lambda x, s, b: x * s[:, None, None] + b[:, None, None]
    ),
    Case("scale 2 axes from the end", f"{SCALE} {{ axis: -2 num_axes: 2 }}", X, lambda x, s: x * s),
    Case("scale all axes", f"{SCALE} {{ axis: 0 num_axes: -1 bias_term: true }}", X, lambda x, s, b: x * s + b),
    Case("scale by a learned scalar", f"{SCALE} {{ num_axes: 0 bias_term: true }}", X, lambda x, s, b: x * s + b),
    Case("scale by a bottom", f"{SCALE} {{ axis: 0 }}", {**X, "s": (2, 3)}, lambda x, s: x * s[:, :, None, None]),
    Case(
        "scale by a bottom, learn a bias",
        f"{SCALE} {{ bias_term: true axis: 2 }}",
        {**X, "s": (4, 5)},
        lambda x, s, b: x * s + b,
    ),
    Case("scale by a scalar bottom", f"{SCALE} {{ axis: 3 }}", {**X, "s": ()}, lambda x, s: x * s),
    Case("scale of size 1", 'type: "Scale"', {"x": (2, 1, 4)}, lambda x, s: x * s),
    Case("scale of nothing", 'type: "Scale"', {"x": (0, 3)}, lambda x, s: x * s),
    Case("bias", 'type: "Bias"', X, lambda x, b: x + b[:, None, None]),
    Case("bias all axes", f"{BIAS} {{ axis: 1 num_axes: -1 }}", X, lambda x, b: x + b),
    Case("bias scalar", f"{BIAS} {{ num_axes: 0 }}", X, lambda x, b: x + b),
    Case("axpy", 'type: "Axpy"', {"a": (2, 3), **X, "y": (2, 3, 4, 5)}, lambda a, x, y: a[:, :, None, None] * x + y),
    Case("axpy of 4 axes", 'type: "Axpy"', {"a": (2, 3, 1, 1), **X, "y": (2, 3, 4, 5)}, lambda a, x, y: a * x + y),
    Case("spatial product", 'type: "SpatialProduct"', {**X, "m": (2, 1, 4, 5)}, lambda x, m: x * m),
    Case("bias by a bottom", f"{BIAS} {{ axis: -1 }}", {**X, "b": (5,)}, lambda x, b: x + b),
]


class TestCases(Cases):
    cases = CASES


REFUSED = [
    ('type: "Axpy"', {"a": (2, 4), **X, "y": (2, 3, 4, 5)}, "one value per item and channel"),
    ('type: "Axpy"', {"a": (2, 3), **X, "y": (2, 3, 4, 4)}, "they must be the same"),
    ('type: "SpatialProduct"', {**X, "m": (2, 3, 4, 5)}, r"the second must be \[2, 1, 4, 5\]"),
    (f"{SCALE} {{ axis: 4 }}", X, "axis 4 is not one of"),
    (f"{SCALE} {{ axis: 2 num_axes: 3 }}", X, "num_axes 3 from axis 2 on is more"),
    (f"{SCALE} {{ num_axes: -2 }}", X, "num_axes -2 is below −1"),
    ('type: "Scale"', {**X, "s": (4,)}, r"scale of shape \[4\] does not fit .* \[2, 3, 4, 5\] from axis 1"),
    (f"{BIAS} {{ axis: 3 }}", {**X, "b": (5, 1)}, r"bias of shape \[5, 1\] does not fit"),
]


@pytest.mark.parametrize(("layer", "bottoms", "message"), REFUSED)
def test_wrong_configuration_is_refused(layer, bottoms, message):
    check_refused(layer, bottoms, message)


def test_scale_begins_as_the_identity():
    net = Case("scale", f"{SCALE} {{ bias_term: true }}", X).net
    scale, bias = net.init(seed=0)
    np.testing.assert_array_equal((scale, bias), (np.ones(3), np.zeros(3)))


def test_a_scale_is_kept_within_its_bounds():
    case = Case("bounds", 'type: "Scale" scale_param { min_value: 0.5 max_value: 2 bias_term: true }', {"x": (2, 3)})
    scale, x, bias = np.float32([0.1, 1, 3]), np.float32([[1, 2, 3], [4, 5, 6]]), np.float32([1, 1, 1])

    def total(scale):
        forward = case.net.forward([scale, bias], {"x": x}, keep=True)
        (top,) = (forward.values[v] for v in case.net.tops[-1])
        return jnp.sum(top), (top, forward.updates)

    slope, (top, updates) = jax.grad(total, has_aux=True)(scale)
    assert np.array_equal(top, x * [0.5, 1, 2] + 1)
    assert np.array_equal(updates[0], [0.5, 1, 2])
    assert np.array_equal(slope, x.sum(0))


def test_what_is_multiplied_must_fit():
    check_refused('type: "Mul"', {"a": (2, 3), "b": (2,)}, r"has shape \[2, 3\] and its factor \[2\]")
