"""The rectifier and sums of blobs: the same wherever the channels are, and as Caffe's where values are none."""

import jax
import numpy as np
import pytest

from engine.ops import onednn_proof
from engine.ops.rectifier import rectified, weighted_sum

X = np.array([1, 0, -2, np.nan, -np.inf, np.inf, 3, -4], np.float32).reshape(1, 2, 2, 2)
DY = np.array([5, 6, 7, 8, 9, 10, np.nan, np.inf], np.float32).reshape(X.shape)


@pytest.fixture(params=[False, True], autouse=True, ids=["channels first", "channels last"])
def forms(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(onednn_proof, "passed", lambda: request.param)


@pytest.mark.parametrize("slope", [0.0, 0.5])
def test_the_rectifier_and_its_gradient_are_those_of_caffe(slope):
    y, pull = jax.vjp(jax.jit(lambda x: rectified(x, slope)), X)
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(y, np.where(X > 0, X, np.float32(slope) * X))
        np.testing.assert_array_equal(pull(DY)[0], DY * np.where(X > 0, np.float32(1), np.float32(slope)))


def test_a_sum_and_its_gradients_have_the_scales():
    xs = [np.full((2, 3, 1, 2), v, np.float32) for v in (1, 2, 4)]
    y, pull = jax.vjp(jax.jit(lambda *xs: weighted_sum(xs, (1, -1, 0.5))), *xs)
    np.testing.assert_array_equal(y, np.ones_like(xs[0]))
    np.testing.assert_array_equal([float(g[0, 0, 0, 0]) for g in pull(y)], [1, -1, 0.5])


def test_each_bottom_has_its_gradient_in_its_own_precision():
    xs = [jax.numpy.ones((1, 1, 1, 1), "bfloat16"), jax.numpy.ones((1, 1, 1, 1))]
    y, pull = jax.vjp(lambda *xs: weighted_sum(xs, (1, 1)), *xs)
    assert (y.dtype, [g.dtype for g in pull(y)]) == (np.float32, [x.dtype for x in xs])
