"""Blobs joined and cut: the same along every axis, wherever the channels are."""

import jax
import numpy as np
import pytest

from engine.ops import onednn_proof
from engine.ops.joining import cut, joined

SHAPE = (2, 3, 4, 5)
WHOLE = np.arange(120, dtype=np.float32).reshape(SHAPE)


@pytest.mark.parametrize("axis", range(4))
@pytest.mark.parametrize("last", [False, True])
def test_parts_are_cut_and_joined_as_they_were(axis, last, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(onednn_proof, "passed", lambda: last)
    parts = np.split(WHOLE, [1], axis)
    made, pull = jax.vjp(jax.jit(lambda x: cut(x, (1,), axis)), WHOLE)
    assert all((a == b).all() for a, b in zip(made, parts, strict=True))
    np.testing.assert_array_equal(pull(made)[0], WHOLE)
    whole, pull = jax.vjp(jax.jit(lambda *xs: joined(xs, axis)), *parts)
    np.testing.assert_array_equal(whole, WHOLE)
    assert all((a == b).all() for a, b in zip(pull(whole), parts, strict=True))


def test_parts_of_several_precisions_are_joined_in_the_widest():
    parts = [jax.numpy.ones((1, 2), "bfloat16"), jax.numpy.ones((1, 3))]
    whole, pull = jax.vjp(lambda *xs: joined(xs, 1), *parts)
    assert (whole.dtype, [g.dtype for g in pull(whole)]) == (np.float32, [x.dtype for x in parts])
