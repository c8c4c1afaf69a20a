"""The product of rows with a weight matrix, x Wᵀ.

For few rows, it takes as long as reading the weights, which fit into no cache. XLA reads them slowly, or copies them to
another layout, unless they are the first factor: (W xᵀ)ᵀ. For more rows, oneDNN is faster. On 2 cores with AVX-512, ms:

| W | rows | XLA: x Wᵀ | XLA: (W xᵀ)ᵀ | oneDNN: x Wᵀ | oneDNN: (W xᵀ)ᵀ |
|---|---|---|---|---|---|
| (4096, 9216) | 1 | 22.4 | 3.8 | 6.1 | 5.1 |
| | 2 | 7.8 | 3.7 | 4.8 | 4.5 |
| | 10 | 9.3 | 6.0 | 6.6 | 5.3 |
| | 16 | 9.7 | 5.0 | 6.4 | 4.7 |
| | 50 | 15.0 | 17.0 | 12.4 | 11.3 |
| | 64 | 17.1 | 10.9 | 13.4 | 11.2 |
| (2048, 9216) | 100 | 12.0 | 16.2 | 9.7 | 11.5 |
| | 128 | 14.1 | 11.8 | 11.7 | 11.2 |
| (500, 800) | 64 | 0.20 | 0.16 | 0.17 | 0.17 |

For the products of the gradients, XLA is as fast as oneDNN.
"""

from collections.abc import Callable
from math import prod

import jax
import jax.numpy as jnp
from jax import lax

from engine.ops import onednn, onednn_proof, platform

Array = jax.Array
Product = Callable[[Array, Array], Array]

LARGE = 2**20
"""Smaller matrices are left to XLA: a program is kept for the next run only if nothing in it calls oneDNN."""

FEW, MANY = 8, 64
"""For a large matrix, oneDNN is faster for more than FEW rows, with W as the first factor up to MANY."""

FEW_FOR_XLA = 32
"""For more rows, (W xᵀ)ᵀ is the faster product in XLA only if their number is a power of two."""


@jax.custom_vjp
def product(x: Array, w: Array) -> Array:
    """x (N, K), w (M, K) → x wᵀ (N, M)."""
    if not x.size or x.dtype not in (jnp.float32, jnp.bfloat16):
        return _plain(x, w)
    return _by_platform(_form(len(x), w.shape), _plain, x, w)


def _form(rows: int, w_shape: tuple[int, ...]) -> Product:
    """The fastest form on a CPU."""
    if prod(w_shape) >= LARGE and rows > FEW and onednn_proof.passed():
        return _onednn_weights_first if rows <= MANY else _onednn
    fast = rows <= FEW_FOR_XLA or rows.bit_count() == 1
    return _weights_first if fast and 2 * rows <= w_shape[0] else _plain


def _plain(x: Array, w: Array) -> Array:
    return jnp.matmul(x, w.T)


def _weights_first(x: Array, w: Array) -> Array:
    """(W xᵀ)ᵀ, with rows padded to a multiple of 8 for speed. Without the barrier, XLA swaps the factors back."""
    padding = -len(x) % 8 if len(x) > 8 else 0
    padded = lax.pad(x, jnp.zeros((), x.dtype), [(0, padding, 0), (0, 0, 0)])
    return lax.optimization_barrier(jnp.einsum("mk,nk->mn", w, padded))[:, : len(x)].T


def _onednn(x: Array, w: Array) -> Array:
    return onednn.product(x, w, transposed="b")


def _onednn_weights_first(x: Array, w: Array) -> Array:
    return onednn.product(w, x, transposed="b").T


def _product_fwd(x: Array, w: Array) -> tuple[Array, tuple[Array, Array]]:
    return product(x, w), (x, w)


def _product_bwd(saved: tuple[Array, Array], dy: Array) -> tuple[Array, Array]:
    x, w = saved
    return _by_platform(jnp.matmul, jnp.matmul, dy, w), _by_platform(jnp.matmul, jnp.matmul, dy.T, x)


def _by_platform(cpu: Product, default: Product, a: Array, b: Array) -> Array:
    result: Array = platform.dependent(a, b, cpu=platform.widened(cpu), default=default)
    return result


product.defvjp(_product_fwd, _product_bwd)
