"""Inner products whose score for an item's own class is lowered by an angular margin: SphereFace and L-Softmax."""

from collections.abc import Callable
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.lax import stop_gradient

from engine.graph import fits
from engine.layers.base import Array, Arrays, Context, Shape, count
from engine.layers.loss import Labelled
from engine.layers.registry import layer
from engine.ops.replaced_gradient import with_gradient_of
from engine.proto import caffe_pb2 as pb

COS_OF_MULTIPLE: dict[int, Callable[[Array], Array]] = {
    1: lambda c: c,
    2: lambda c: 2 * c**2 - 1,
    3: lambda c: 4 * c**3 - 3 * c,
    4: lambda c: 8 * c**4 - 8 * c**2 + 1,
}
"""m → cos(m θ) as a polynomial of cos θ (Chebyshev)."""

TINY = 1e-9
"""L-Softmax adds this to a product of lengths before dividing by it."""


def falling_cosine(c: Array, m: int) -> Array:
    """ψ(θ) = (−1)ᵏ cos(m θ) − 2k for c = cos θ, where θ lies in the k-th of m equal parts of 0 … π (Liu et al. 2016).

    ψ decreases from 1 at θ = 0 to 1 − 2m at θ = π.
    """
    bounds = np.cos(np.pi * np.arange(1, m) / m)
    k = sum((c < b for b in bounds), jnp.zeros(c.shape, jnp.int32))
    return (1 - 2 * (k % 2)) * COS_OF_MULTIPLE[m](c) - 2 * k


def length(rows: Array) -> Array:
    """√Σ x² of each row: (N, K) → (N). The gradient of a row of zeros is 0."""
    return jnp.sqrt(jnp.maximum(jnp.sum(jnp.square(rows), axis=1), np.finfo(np.float32).tiny))


class _MarginInnerProduct(Labelled):
    """y = x Wᵀ, except that an item's own class scores (|x| |w| ψ(θ) + λ x · w) / (1 + λ), θ the angle between x and w.

    ψ is `falling_cosine` with m = 1 to 4 for the types SINGLE to QUADRUPLE; SINGLE has no margin. λ, the optional
    second top, is max(lambda_min, base · (1 + gamma · i)^−power), where i counts passes, starting from `iteration`.
    Bottoms: x (d0, …, dn), labels. Tops: y (d0, …, d(axis−1), num_output), λ (1). Param: W (num_output, K).
    """

    tops = (1, 2)
    precision = "low"
    block: ClassVar[str]

    def setup(self, x: Shape, labels: Shape) -> list[Shape]:
        p: pb.MarginInnerProductParameter = getattr(self.config, self.block)
        fits.outputs(self.node, self.block, p.num_output)
        axis = self.canonical_axis(p.axis, x)
        self.match((count(x[:axis]), p.num_output), labels, 1)
        self.margin, self.shape = 1 + p.type, (*x[:axis], p.num_output)
        self.base, self.gamma, self.power, self.least = p.base, p.gamma, p.power, p.lambda_min
        self.iteration = p.iteration
        self.weight = self.param("weight", (p.num_output, count(x[axis:])), p.weight_filler)
        self.remember("number of passes", (1,))
        shapes: list[Shape] = [self.shape, (1,)]
        return shapes[: len(self.config.top)]

    def propagates_to(self, bottom: int) -> bool:
        return bottom == 0

    def apply(self, params: Arrays, bottoms: Arrays, ctx: Context) -> tuple[list[Array], dict[int, Array]]:
        x, labels = bottoms
        w, passes = params[self.weight], params[len(self.params)] + 1
        anneal = jnp.maximum(self.base * (1 + self.gamma * (self.iteration + passes)) ** -self.power, self.least)
        own = jax.nn.one_hot(labels.reshape(-1).astype(jnp.int32), w.shape[0], dtype=bool)
        y, updates = self.scores(x.reshape(own.shape[0], w.shape[1]), w, own, stop_gradient(anneal).astype(x.dtype))
        tops = [y.reshape(self.shape), stop_gradient(anneal)][: len(self.top_shapes)]
        return tops, {**updates, len(self.params): passes}

    def scores(self, x: Array, w: Array, own: Array, weight: Array) -> tuple[Array, dict[int, Array]]:
        """Returns y (N, num_output) for x (N, K), and the new values of changed parameters.

        own: which class is each item's own (N, num_output). weight: λ.
        """
        raise TypeError(f"{type(self).__name__} has no scores")


@layer("LargeMarginInnerProduct")
class LargeMarginInnerProduct(_MarginInnerProduct):
    """L-Softmax (Liu et al. 2016), with its true derivative as the gradient."""

    block = "largemargin_inner_product_param"

    def scores(self, x: Array, w: Array, own: Array, weight: Array) -> tuple[Array, dict[int, Array]]:
        y = x @ w.T
        if self.margin == 1:
            return y, {}
        lengths = length(x)[:, None] * length(w) + TINY
        lowered = lengths * falling_cosine(y / lengths, self.margin)
        return jnp.where(own, (lowered + weight * y) / (1 + weight), y), {}


@layer("MarginInnerProduct")
class MarginInnerProduct(_MarginInnerProduct):
    """A-Softmax (SphereFace, Liu et al. 2017): each pass first scales every row w of W to length 1 and keeps it so.

    The gradients are the fork's: that of W is the one of x Wᵀ; that of |x| ψ(θ) by x, which has the form a w + b x, is
    divided by √(a² + b²).
    """

    block = "margin_inner_product_param"

    def scores(self, x: Array, w: Array, own: Array, weight: Array) -> tuple[Array, dict[int, Array]]:
        unit = stop_gradient(w / length(w)[:, None])
        y = x @ unit.T
        of_weight = stop_gradient(x) @ w.T
        if self.margin == 1:
            return with_gradient_of(y, y + of_weight), {self.weight: unit}
        lengths = stop_gradient(length(x)[:, None])
        cosine = stop_gradient(y) / lengths
        psi, slope = jax.jvp(lambda c: falling_cosine(c, self.margin), (cosine,), (jnp.ones_like(cosine),))
        lowered = jnp.where(own, (lengths * psi + weight * y) / (1 + weight), y)
        along_x = (psi - cosine * slope) / lengths
        x_x = jnp.sum(x * stop_gradient(x), axis=1, keepdims=True)
        pulled = (slope * y + along_x * x_x) / jnp.hypot(slope, along_x)
        of_x = jnp.where(own, (pulled + weight * y) / (1 + weight), y)
        return with_gradient_of(lowered, of_x + of_weight), {self.weight: unit}
