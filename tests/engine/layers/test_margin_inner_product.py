"""MarginInnerProduct and LargeMarginInnerProduct; recorded values tell SphereFace's gradients."""

import jax
import numpy as np
import pytest
from support.layer_cases import Case, Cases, assert_close, check_export, check_formula, check_refused

from engine.layers.margin_inner_product import falling_cosine

BOTTOMS = {"x": (4, 3), "labels": np.array([0.0, 1, 1, 4])}
TYPES = ["SINGLE", "DOUBLE", "TRIPLE", "QUADRUPLE"]


def sphereface(options=""):
    return f'type: "MarginInnerProduct" margin_inner_product_param {{ num_output: 5 {options} }}'


def l_softmax(options=""):
    return f'type: "LargeMarginInnerProduct" largemargin_inner_product_param {{ num_output: 5 {options} }}'


def lowered(m, anneal, unit=False):
    """The formula with angles, in place of their cosines."""

    def formula(x, labels, w, passes):
        w = w / np.linalg.norm(w, axis=1, keepdims=True) if unit else w
        y, rows = x @ w.T, np.arange(4)
        ids = labels.astype(int)
        lengths = np.linalg.norm(x, axis=1) * np.linalg.norm(w[ids], axis=1)
        theta = np.arccos(y[rows, ids] / lengths)
        k = np.floor(theta * m / np.pi)
        value = anneal(passes + 1)
        y[rows, ids] = (lengths * ((-1) ** k * np.cos(m * theta) - 2 * k) + value * y[rows, ids]) / (1 + value)
        return y, value

    return formula


class TestLargeMargin(Cases):
    cases = (
        Case("single", l_softmax(), BOTTOMS, lambda x, labels, w, passes: x @ w.T),
        *(
            Case(kind, l_softmax(f"type: {kind} base: 3"), BOTTOMS, lowered(m, lambda i: 0 * i + 3), tops=2)
            for m, kind in enumerate(TYPES, 1)
        ),
    )


@pytest.mark.parametrize("kind", TYPES)
def test_sphereface_has_weights_of_length_1(kind):
    check_formula(
        Case(
            kind,
            sphereface(f"type: {kind} base: 9 gamma: 0.5 power: 2 iteration: 3 lambda_min: 0.1"),
            BOTTOMS,
            lowered(1 + TYPES.index(kind), lambda i: 9 * (1 + 0.5 * (3 + i)) ** -2, unit=True),
            tops=2,
        )
    )


def test_a_step_of_sphereface_lowers_for_cuda():
    check_export(Case("step", sphereface("type: QUADRUPLE"), BOTTOMS))


def test_lambda_falls_from_pass_to_pass_down_to_its_least():
    net = Case(
        "passes", sphereface('base: 8 gamma: 1 lambda_min: 3 weight_filler { type: "xavier" }'), BOTTOMS, tops=2
    ).net
    params, given = net.init(seed=0), {"x": np.ones((4, 3), np.float32), "labels": np.zeros(4, np.float32)}
    found = []
    for _ in range(3):
        passed = net.forward(params, given, jax.random.key(0))
        params = [passed.updates.get(k, p) for k, p in enumerate(params)]
        found.append(float(passed.outputs["y1"][0]))
    assert found == [4, 3, 3]
    assert_close(np.linalg.norm(params[0], axis=1), np.ones(5))


@pytest.mark.parametrize("m", [1, 2, 3, 4])
def test_psi_falls_from_1_to_1_minus_2m(m):
    values = np.asarray(falling_cosine(np.cos(np.linspace(0, np.pi, 50)), m))
    assert_close(values[[0, -1]], [1, 1 - 2 * m])
    assert np.all(np.diff(values) < 1e-6)


@pytest.mark.parametrize(
    ("layer", "bottoms", "message"),
    [
        ('type: "MarginInnerProduct"', BOTTOMS, "margin_inner_product_param needs num_output of 1 or more"),
        (l_softmax(), {"x": (4, 3), "labels": (3,)}, "has 3 labels and .* 4 predictions"),
        (l_softmax("axis: 2"), BOTTOMS, "axis 2 is not one of its bottom"),
    ],
)
def test_wrong_configuration_is_refused(layer, bottoms, message):
    check_refused(layer, bottoms, message)
