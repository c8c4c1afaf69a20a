"""The product of rows with a matrix of weights, x Wᵀ.

Its time is that of reading weights which no cache holds. XLA's own product lays them out anew for a few rows; oneDNN
reads them once. On 2 cores with AVX-512, fc6 of AlexNet (W of 151 MB), ms of CPU time:

| rows | XLA | oneDNN: x Wᵀ | oneDNN: (W xᵀ)ᵀ |
|---|---|---|---|
| 1 | 38 | 8.6 | 11.4 |
| 2 | 15.2 | 8.4 | 9.6 |
| 16 | 20.5 | 13.0 | 10.4 |
| 128 | 55 | 46 | 47 |

The gradients' products take XLA no longer than oneDNN.
"""

import jax
import jax.numpy as jnp
from jax import lax

from engine.ops import onednn, onednn_proof

Array = jax.Array

LARGE = 2**20
"""Smaller matrices are left to XLA, which keeps what it compiled for the next run if nothing in it calls oneDNN."""

FEW, MANY = 8, 64
"""Between so many rows, W's take the part of the rows."""


@jax.custom_vjp
def product(x: Array, w: Array) -> Array:
    """x (N, K), w (M, K) → x wᵀ (N, M)."""

    def on_cpu(x: Array, w: Array) -> Array:
        return onednn.product(w, x, transposed="b").T if FEW < len(x) <= MANY else onednn.product(x, w, transposed="b")

    def plain(x: Array, w: Array) -> Array:
        return jnp.matmul(x, w.T)

    if w.size < LARGE or not len(x) or jnp.result_type(x, w) != jnp.float32 or not onednn_proof.passed():
        return plain(x, w)
    made: Array = lax.platform_dependent(x, w, cpu=on_cpu, default=plain)
    return made


def _product_fwd(x: Array, w: Array) -> tuple[Array, tuple[Array, Array]]:
    return product(x, w), (x, w)


def _product_bwd(saved: tuple[Array, Array], dy: Array) -> tuple[Array, Array]:
    x, w = saved
    return jnp.matmul(dy, w), jnp.matmul(dy.T, x)


product.defvjp(_product_fwd, _product_bwd)
