"""Where the channels are: there and back, and sums over all but them."""

import jax
import numpy as np
import pytest

from engine.ops import channels, onednn_proof

X = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)


def test_channels_go_last_and_come_first():
    moved = channels.last(jax.numpy.asarray(X))
    assert moved.shape == (2, 4, 5, 3)
    np.testing.assert_array_equal(channels.first(moved), X)


@pytest.mark.parametrize("last", [False, True])
def test_sums_are_those_of_channels(last, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(onednn_proof, "passed", lambda: last)
    v = np.arange(3, dtype=np.float32)
    made = jax.jit(lambda x, y: channels.sums(lambda along, x, y: x * y + along(v), x, y))(X, X[::-1])
    np.testing.assert_allclose(made, (X * X[::-1] + v[:, None, None]).sum((0, 2, 3)), rtol=1e-6)


def test_rows_of_nothing_are_none():
    assert channels.rows(jax.numpy.zeros((0, 4, 5, 3))).shape == (0, 3)


@pytest.mark.parametrize("last", [False, True])
def test_a_form_is_told_where_the_channels_are(last, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(onednn_proof, "passed", lambda: last)
    told = jax.jit(lambda x: channels.where_fastest(lambda axis, x: x * x.shape[axis] + axis, x))(X)
    np.testing.assert_array_equal(told, X * 3 + (3 if last else 1))


def test_axes_keep_their_order_around_channels_that_come_last():
    last = channels.last(X)
    assert [last.shape[channels.moved(axis, 3)] for axis in range(4)] == list(X.shape)
    assert [channels.moved(axis, 1) for axis in range(4)] == [0, 1, 2, 3]
