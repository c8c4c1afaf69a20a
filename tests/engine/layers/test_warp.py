"""FlowWarp, Warp, Grid and SpatialTransformer."""

import numpy as np
import pytest
from support.layer_cases import Case, Cases, check_refused, slopes

X = {"x": (2, 3, 4, 5)}
FLOW = np.random.default_rng(0).uniform(-2, 2, (2, 2, 4, 5))
WARP = 'type: "FlowWarp" flow_warp_param {{ {} }}'.format
ST = 'type: "SpatialTransformer" st_param {{ {} }}'.format


def read(picture, at, zero):
    """One pixel of a picture (C, H, W), between the four around `at`."""
    total, corner = 0, np.floor(at).astype(int)
    for step in np.ndindex(2, 2):
        pixel = corner + step
        inside = np.clip(pixel, 0, np.array(picture.shape[1:]) - 1)
        counts = not zero or np.array_equal(pixel, inside)
        total = total + counts * np.prod(1 - np.abs(at - pixel)) * picture[:, inside[0], inside[1]]
    return total


def warp(x, flow):
    y = np.zeros(x.shape)
    for n, i, j in np.ndindex(len(x), *x.shape[2:]):
        at = np.array([i + flow[n, 1, i, j], j + flow[n, 0, i, j]])
        if np.all((at >= 0) & (at < x.shape[2:])):
            y[n, :, i, j] = read(x[n], at, zero=False)
    return y


PLACES = np.random.default_rng(1).uniform(-1.5, 6, (2, 2, 4, 5))


def to_places(x, places):
    y = np.zeros(x.shape)
    for n, i, j in np.ndindex(len(x), *x.shape[2:]):
        y[n, :, i, j] = read(x[n], places[n, ::-1, i, j], zero=True)
    return y


def test_grid_gives_each_pixel_its_place():
    case = Case("grid", 'type: "Grid"', X)
    top = np.asarray(case.run([], case.values()[1])[0])
    assert top.shape == (2, 2, 4, 5)
    assert all(tuple(top[n, :, i, j]) == (j, i) for n, i, j in np.ndindex(2, 4, 5))
    assert not case.differentiable()


@pytest.mark.parametrize(
    ("layer", "bottoms"), [('type: "Warp"', {**X, "p": (2, 2, 5, 4)}), ('type: "Grid"', {"x": (3, 4)})]
)
def test_wrong_planes_are_refused(layer, bottoms):
    check_refused(layer, bottoms, r"has shape \[")


def transform(height, width, full=lambda theta: theta):
    def formula(x, theta):
        y = np.zeros((*x.shape[:2], height, width))
        for n, i, j in np.ndindex(len(x), height, width):
            at = full(theta[n]).reshape(2, 3) @ [i / height * 2 - 1, j / width * 2 - 1, 1]
            y[n, :, i, j] = read(x[n], (at + 1) / 2 * x.shape[2:], zero=True)
        return y

    return formula


THETA = np.array([[0.9, 0.1, 0.031, -0.2, 0.8, 0.07], [1.2, 0, 0.3, 0.1, 0.5, -0.37]])
SCALED = ST("theta_1_1: 0.5 theta_1_2: 0 theta_2_1: 0 theta_2_2: 0.7")


class TestCases(Cases):
    cases = (
        Case("warp", WARP(""), {**X, "flow": FLOW}, warp),
        Case("to places", 'type: "Warp"', {**X, "places": PLACES}, to_places),
        Case("affine", ST(""), {**X, "theta": THETA}, transform(4, 5)),
        Case("another size", ST("output_H: 2 output_W: 3"), {**X, "theta": THETA}, transform(2, 3)),
        Case(
            "shift only",
            SCALED,
            {**X, "theta": np.array([[0.11, 0.33], [-0.21, 0.4]])},
            transform(4, 5, lambda t: np.array([0.5, 0, t[0], 0, 0.7, t[1]])),
        ),
    )


def test_what_lies_outside_can_be_unknown():
    flow = np.zeros((1, 2, 1, 2))
    flow[0, 0, 0, 1] = 1
    case = Case("outside", WARP("fill_value: NOT_A_NUMBER"), {"x": np.ones((1, 1, 1, 2)), "flow": flow})
    assert np.array_equal(case.run([], case.values()[1])[0].ravel(), [1, np.nan], equal_nan=True)


def test_the_picture_can_be_left_without_a_gradient():
    gradient, _ = slopes(ST("to_compute_dU: false"), x=np.ones((1, 1, 3, 3)), theta=[[1, 0, 0, 0, 1, 0]])
    assert not gradient.any()


@pytest.mark.parametrize(
    ("layer", "bottoms", "message"),
    [
        (WARP(""), {**X, "flow": (2, 3, 4, 5)}, r"must be of shapes \(N, C, H, W\) and \(N, 2, H, W\)"),
        (ST('transform_type: "tps"'), {**X, "theta": (2, 6)}, 'it must be "affine"'),
        (ST('sampler_type: "nearest"'), {**X, "theta": (2, 6)}, 'it must be "bilinear"'),
        (SCALED, {**X, "theta": (2, 6)}, "must have 2 values for each of the 2 items"),
        (ST("output_H: 0"), {**X, "theta": (2, 6)}, "output_H and output_W are 0 and 5"),
        (ST(""), {"x": (2, 3), "theta": (2, 6)}, "4 axes are needed"),
    ],
)
def test_wrong_configuration_is_refused(layer, bottoms, message):
    check_refused(layer, bottoms, message)
