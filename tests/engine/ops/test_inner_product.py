"""The product with weights: its forms equal NumPy's product, and which of them is taken.

`partial`, since JAX keeps what it traced of a function, with the forms that were taken then.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from engine.ops import inner_product, onednn, onednn_proof


def given(rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x (rows, 24), w (150, 24) and dy (rows, 150)."""
    rng = np.random.default_rng(rows)
    x, w, dy = (rng.standard_normal(shape, np.float32) for shape in ((rows, 24), (150, 24), (rows, 150)))
    return x, w, dy


@pytest.mark.parametrize("called", [False, True], ids=["plain", "oneDNN"])
@pytest.mark.parametrize("rows", [1, 11, 16, 64, 65, 128])
def test_it_and_its_gradients_are_right(rows, called, monkeypatch: pytest.MonkeyPatch):
    if called and not onednn_proof.passed():
        pytest.skip("oneDNN is not to be called here")
    monkeypatch.setattr(onednn_proof, "passed", lambda: called)
    monkeypatch.setattr(inner_product, "LARGE", 0)
    x, w, dy = given(rows)
    y, pull = jax.vjp(jax.jit(partial(inner_product.product)), x, w)
    for found, expected in zip((y, *pull(dy)), (x @ w.T, dy @ w, dy.T @ x), strict=True):
        np.testing.assert_allclose(found, expected, atol=2e-5)


@pytest.mark.parametrize(
    ("rows", "large", "dtype", "calls"),
    [
        (9, 150 * 24, "float32", True),
        (65, 150 * 24, "float32", True),
        (65, 150 * 24 + 1, "float32", False),
        (65, 0, "bfloat16", True),
        (65, 0, "float16", False),
        (8, 0, "float32", False),
    ],
    ids=["some rows", "many rows", "small", "of bfloat16", "of another type", "few rows"],
)
def test_only_large_matrices_of_floats_call_onednn_for_more_than_few_rows(
    rows, large, dtype, calls, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(onednn_proof, "passed", lambda: True)
    monkeypatch.setattr(inner_product, "LARGE", large)
    x, w, _ = (jnp.asarray(value, dtype) for value in given(rows))
    assert onednn.called_by(jax.jit(partial(inner_product.product)).lower(x, w)) is calls


def test_no_rows_are_no_product(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(onednn_proof, "passed", lambda: True)
    monkeypatch.setattr(inner_product, "LARGE", 0)
    assert inner_product.product(jnp.zeros((0, 24)), given(1)[1]).shape == (0, 150)
