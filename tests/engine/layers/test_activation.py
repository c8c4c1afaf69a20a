"""Element-wise functions: formulas, kinks, refusals."""

import logging

import numpy as np
import pytest
from support.layer_cases import Case, Cases, check_refused, net_of, slopes

X = {"x": (2, 3, 4)}
UP = {"x": np.random.default_rng(3).uniform(0.5, 2, (2, 3))}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


CASES = [
    Case("neg relu", 'type: "NegReLU"', X, lambda x: np.minimum(x, 0)),
    Case(
        "leaky neg relu",
        'type: "NegReLU" relu_param { negative_slope: 0.2 }',
        X,
        lambda x: np.where(x < 0, x, 0.2 * x),
    ),
    Case(
        "selu",
        'type: "SeLu" selu_param { lambda: 1.1 alpha: 1.5 }',
        X,
        lambda x: 1.1 * np.where(x > 0, x, 1.5 * np.expm1(x)),
    ),
    Case("relu", 'type: "ReLU"', X, lambda x: np.maximum(x, 0)),
    Case(
        "relu negative slope",
        'type: "ReLU" relu_param { negative_slope: -0.3 }',
        X,
        lambda x: np.where(x > 0, x, -0.3 * x),
    ),
    Case("relu empty", 'type: "ReLU"', {"x": (2, 0, 4)}, lambda x: x),
    Case("relu scalar", 'type: "ReLU"', {"x": ()}, lambda x: np.maximum(x, 0)),
    Case("prelu", 'type: "PReLU"', X, lambda x, a: np.where(x > 0, x, a[:, None] * x)),
    Case("prelu 2 axes", 'type: "PReLU"', {"x": (4, 3)}, lambda x, a: np.where(x > 0, x, a * x)),
    Case("prelu one channel", 'type: "PReLU"', {"x": (4, 1, 2)}, lambda x, a: np.where(x > 0, x, a * x)),
    Case(
        "prelu shared", 'type: "PReLU" prelu_param { channel_shared: true }', X, lambda x, a: np.where(x > 0, x, a * x)
    ),
    Case("elu", 'type: "ELU" elu_param { alpha: 0.3 }', X, lambda x: np.where(x > 0, x, 0.3 * np.expm1(x))),
    Case("elu far below", 'type: "ELU"', {"x": np.array([-200.0, 200.0])}, lambda x: np.where(x > 0, x, -1)),
    Case("sigmoid", 'type: "Sigmoid"', X, sigmoid),
    Case("tanh", 'type: "TanH"', X, np.tanh),
    Case("swish", 'type: "Swish" swish_param { beta: 0.7 }', X, lambda x: x * sigmoid(0.7 * x)),
    Case("mish", 'type: "Mish"', X, lambda x: x * np.tanh(np.log1p(np.exp(x)))),
    Case(
        "hard swish",
        'type: "HardSwish"',
        {"x": np.array([-4.0, -2, -0.5, 0.5, 2, 4])},
        lambda x: x * np.minimum(np.maximum(x + 3, 0), 6) / 6,
    ),
    Case("swish beta 0", 'type: "Swish" swish_param { beta: 0 }', X, lambda x: x / 2),
    Case("bnll", 'type: "BNLL"', X, lambda x: np.log1p(np.exp(x))),
    Case("bnll far", 'type: "BNLL"', {"x": np.array([-200.0, 200.0])}, lambda x: np.maximum(x, 0)),
    Case("absval", 'type: "AbsVal"', X, np.abs),
    Case("clip", 'type: "Clip" clip_param { min: -0.2 max: 0.9 }', X, lambda x: np.clip(x, -0.2, 0.9)),
    Case(
        "threshold", 'type: "Threshold" threshold_param { threshold: -0.4 }', X, lambda x: np.where(x > -0.4, 1.0, 0.0)
    ),
    Case("exp base", 'type: "Exp" exp_param { base: 3 scale: -0.5 shift: 0.2 }', X, lambda x: 3 ** (0.2 - 0.5 * x)),
    Case("exp of e", 'type: "Exp" exp_param { scale: 2 shift: -1 }', X, lambda x: np.exp(2 * x - 1)),
    Case("exp base 1", 'type: "Exp" exp_param { base: 1 }', X, np.ones_like),
    Case("log base", 'type: "Log" log_param { base: 2 scale: 3 shift: 1 }', UP, lambda x: np.log2(3 * x + 1)),
    Case("log of e", 'type: "Log"', UP, np.log),
    Case("log base below 1", 'type: "Log" log_param { base: 0.5 }', UP, lambda x: -np.log2(x)),
    Case("power 2", 'type: "Power" power_param { power: 2 scale: -3 shift: 1 }', X, lambda x: (1 - 3 * x) ** 2),
    Case("power 3 of negatives", 'type: "Power" power_param { power: 3 }', X, lambda x: x**3),
    Case("power -1.5", 'type: "Power" power_param { power: -1.5 scale: 2 }', UP, lambda x: (2 * x) ** -1.5),
    Case("power of a constant", 'type: "Power" power_param { power: 0.5 scale: 0 shift: 4 }', X, lambda x: 0 * x + 2),
    Case("power 0", 'type: "Power" power_param { power: 0 }', X, np.ones_like),
    Case("clip to nothing", 'type: "Clip" clip_param { min: 0.9 max: -0.2 }', X, lambda x: np.full_like(x, 0.9)),
    Case("relu6", 'type: "ReLU6"', {"x": np.linspace(-3, 9, 24)}, lambda x: np.clip(x, 0, 6)),
    Case(
        "relu6 negative slope",
        'type: "ReLU6" relu6_param { negative_slope: 0.2 }',
        {"x": np.linspace(-3, 9, 24)},
        lambda x: np.where(x > 0, np.minimum(x, 6), 0.2 * x),
    ),
]


class TestCases(Cases):
    cases = CASES


@pytest.mark.parametrize(
    ("layer", "x", "slope"),
    [
        ('type: "ReLU"', [0.0], [0.0]),
        ('type: "ReLU" relu_param { negative_slope: 0.1 }', [0.0], [0.1]),
        ('type: "PReLU" prelu_param { channel_shared: true }', [[0.0]], [[0.25]]),
        ('type: "ELU" elu_param { alpha: 0.5 }', [0.0], [0.5]),
        ('type: "AbsVal"', [0.0, -0.0], [0.0, 0.0]),
        ('type: "Clip" clip_param { min: -1 max: 2 }', [-1.0, 2.0], [1.0, 1.0]),
        ('type: "ReLU6" relu6_param { negative_slope: 0.1 }', [0.0, 6.0], [0.1, 0.0]),
        ('type: "Threshold"', [0.0, 1.0], [0.0, 0.0]),
        ('type: "Power" power_param { power: 2 }', [0.0], [0.0]),
    ],
)
def test_gradient_at_a_kink_is_the_side_that_caffe_takes(layer, x, slope):
    np.testing.assert_array_equal(slopes(layer, x=x)[0], np.float32(slope))


REFUSED = [
    ('type: "PReLU"', {"x": (3,)}, r'"x" has shape \[3\]; 2 axes or more are needed'),
    ('type: "Clip"', X, "needs min and max"),
    ('type: "Exp" exp_param { base: 0 }', X, "base is 0; it must be above 0"),
    ('type: "Log" log_param { base: -2 }', X, "base is -2; it must be above 0"),
    ('type: "Log" log_param { base: 1 }', X, "base is 1; there are no logarithms"),
    ('type: "ReLU"', {"a": (2,), "b": (2,)}, "2 bottoms and takes 1"),
    ('type: "ReLU" param { lr_mult: 1 }', X, "0 parameters and 1 param blocks"),
    ('type: "PReLU" prelu_param { filler { type: "gausian" } }', X, 'Did you mean "gaussian"'),
]


@pytest.mark.parametrize(("layer", "bottoms", "message"), REFUSED)
def test_wrong_configuration_is_refused(layer, bottoms, message):
    check_refused(layer, bottoms, message)


def test_power_in_place_warns_of_its_gradient(caplog):
    with caplog.at_level(logging.WARNING):
        net_of('type: "Power" top: "x" power_param { scale: 2 }', {"x": (2,)}, tops=0)
    assert "give its top another name" in caplog.text
