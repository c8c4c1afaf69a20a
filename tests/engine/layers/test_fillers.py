"""Fillers: distributions by Caffe's definitions, the same numbers for the same seed, refusals."""

import math

import numpy as np
import pytest

from engine.errors import NetError
from engine.graph import fits
from engine.layers import fillers
from engine.proto import caffe_pb2 as pb
from engine.proto import text

SHAPE = (40, 30, 5, 5)
COUNT = math.prod(SHAPE)
FAN_IN, FAN_OUT = 30 * 25, 40 * 25


def filled(config, shape=SHAPE, seed=1, stream=0):
    return fillers.fill(text.parse(config, pb.FillerParameter), shape, fillers.generator(seed, stream))


def assert_uniform(x, low, high):
    """The extremes and the moments of U(low, high), within five standard errors."""
    width = high - low
    assert low <= x.min() < low + 0.01 * width
    assert high - 0.01 * width < x.max() <= high
    assert x.mean() == pytest.approx((low + high) / 2, abs=5 * width / math.sqrt(12 * x.size))
    assert x.var() == pytest.approx(width**2 / 12, rel=0.05)


def assert_normal(x, mean, std):
    """The moments of N(mean, std²), within five standard errors, and its tails."""
    assert x.mean() == pytest.approx(mean, abs=5 * std / math.sqrt(x.size))
    assert x.std() == pytest.approx(std, rel=5 / math.sqrt(2 * x.size))
    assert (np.abs(x - mean) < std).mean() == pytest.approx(0.6827, abs=0.02)


def test_constant():
    assert (filled("value: 0.25") == 0.25).all()
    assert (filled('type: "constant"') == 0).all()


def test_uniform():
    assert_uniform(filled('type: "uniform" min: -2 max: 0.5'), -2, 0.5)


def test_gaussian():
    assert_normal(filled('type: "gaussian" mean: 1 std: 0.2'), 1, 0.2)


def test_sparse_gaussian_keeps_some_weights():
    x = filled('type: "gaussian" std: 3 sparse: 10')
    assert (x != 0).mean() == pytest.approx(10 / 40, abs=0.02)
    assert_normal(x[x != 0], 0, 3)


def test_positive_unitball_sums_to_one_for_each_output():
    x = filled('type: "positive_unitball"')
    assert (x >= 0).all()
    np.testing.assert_allclose(x.reshape(40, -1).sum(1), 1, rtol=1e-5)


FANS = [("", FAN_IN), ("variance_norm: FAN_IN", FAN_IN), ("variance_norm: FAN_OUT", FAN_OUT)]
FANS += [("variance_norm: AVERAGE", (FAN_IN + FAN_OUT) / 2)]


@pytest.mark.parametrize(("norm", "fan"), FANS)
def test_xavier(norm, fan):
    a = math.sqrt(3 / fan)
    assert_uniform(filled(f'type: "xavier" {norm}'), -a, a)


@pytest.mark.parametrize(("norm", "fan"), FANS)
def test_msra(norm, fan):
    assert_normal(filled(f'type: "msra" {norm}'), 0, math.sqrt(2 / fan))


def test_bilinear_interpolates():
    kernel = filled('type: "bilinear"', (2, 1, 4, 4))
    line = np.array([0.25, 0.75, 0.75, 0.25])
    np.testing.assert_allclose(kernel, np.broadcast_to(np.outer(line, line), (2, 1, 4, 4)))


def test_bilinear_of_odd_size_has_its_peak_in_the_middle():
    np.testing.assert_allclose(filled('type: "bilinear"', (1, 1, 5, 5))[0, 0, 2] * 3, [1, 2, 3, 2, 1], rtol=1e-6)


def test_bilinear_3d_interpolates_volumes():
    kernel = filled('type: "bilinear_3D"', (2, 1, 4, 4, 4))
    line = np.array([0.25, 0.75, 0.75, 0.25])
    np.testing.assert_allclose(kernel[1, 0], line[:, None, None] * line[:, None] * line)


def test_diagonal_takes_each_input_to_its_output():
    kernel = filled('type: "diagonal" diag_val: 20 diag_val: 4', (4, 3, 2, 2))
    for n, c in np.ndindex(4, 3):
        np.testing.assert_array_equal(kernel[n, c], (20 / 4, 4 / 4, 1 / 4)[c] if n == c else 0)
    np.testing.assert_array_equal(filled('type: "diagonal"', (2, 3)), [[1, 0, 0], [0, 1, 0]])
    np.testing.assert_array_equal(filled('type: "diagonal" diag_val: 3', (2,)), [3, 0])


def test_one_axis_has_all_inputs_and_outputs():
    a = math.sqrt(3)  # count / shape[0] = 1
    assert_uniform(filled('type: "xavier"', (20000,)), -a, a)


@pytest.mark.parametrize("kind", fillers.FILLERS)
def test_same_seed_same_numbers_and_others_for_others(kind):
    config, shape = f'type: "{kind}" max: 1 std: 1', (4, 3, *[4] * (3 if kind == "bilinear_3D" else 2))
    np.testing.assert_array_equal(filled(config, shape), filled(config, shape))
    assert filled(config, shape).dtype == np.float32
    if kind not in ("constant", "bilinear", "bilinear_3D", "diagonal"):
        assert (filled(config, shape, stream=1) != filled(config, shape)).any()
        assert (filled(config, shape, seed=2) != filled(config, shape)).any()


@pytest.mark.parametrize("kind", ["gaussian", "xavier", "msra", "positive_unitball"])
@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0)])
def test_an_empty_parameter_is_filled_with_nothing(kind, shape):
    assert filled(f'type: "{kind}"', shape).shape == shape


@pytest.mark.parametrize("kind", ["gaussian", "xavier", "msra", "positive_unitball"])
def test_a_single_number_is_filled(kind):
    assert filled(f'type: "{kind}"', ()).shape == ()


@pytest.mark.parametrize(
    ("config", "shape", "message"),
    [
        ('type: "xavir"', SHAPE, 'unknown filler type "xavir".*Did you mean "xavier"'),
        ('type: "uniform" sparse: 3', SHAPE, 'sparse is for the gaussian filler, not for "uniform"'),
        ('type: "bilinear"', (3, 4), "square 4-dimensional"),
        ('type: "bilinear"', (1, 1, 3, 4), "square 4-dimensional"),
        ('type: "bilinear_3D"', (1, 1, 4, 4), "cubic 5-dimensional"),
        ('type: "bilinear_3D"', (1, 1, 4, 4, 3), "cubic 5-dimensional"),
        ('type: "diagonal"', (1, 1, 4, 4, 3), "weights of up to 4 axes"),
    ],
)
def test_refuses(config, shape, message):
    with pytest.raises(NetError, match=message):
        filled(config, shape)


def test_every_filler_that_passes_is_made():
    assert tuple(fillers.FILLERS) == fits.FILLERS
