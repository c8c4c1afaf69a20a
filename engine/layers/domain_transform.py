"""DomainTransform: smooths scores along the rows and columns of an image, not across its edges (Chen et al. 2016)."""

import math

import jax.numpy as jnp
from jax import lax
from jax.lax import stop_gradient

from engine.graph import predictions
from engine.layers.base import Array, Arrays, Context, Layer, Shape
from engine.layers.registry import layer

MOST_ROUNDS = 64
"""Each round smooths half as far as the one before, so well before this many the range is below a pixel."""


@layer("DomainTransform")
class DomainTransform(Layer):
    """y_i ← y_i + w_i (y_{i−1} − y_i), from left to right, right to left, top to bottom, bottom to top, num_iter times.

    w = exp(−√2 / σ_k · (1 + g σ_s / σ_r)), clipped to min_weight … 1, where the edge map g is the strength of the edge;
    σ_k = σ_s √3 · 2^(K − k) / √(4^K − 1) in iteration k of K (Gastal and Oliveira 2011). In the backward directions,
    the weight between two positions is the same as forwards. The gradient of g ignores the clipping, as in the fork.
    Bottoms: x (N, C, H, W); g (N, 1, H, W); the size of each image (N, 2, 1, 1): the rows and columns to be smoothed.
    Top: y, of x's shape.
    """

    bottoms = (3, 3)

    def setup(self, x: Shape, edges: Shape, sizes: Shape) -> list[Shape]:
        p = self.config.domain_transform_param
        predictions.one_a_place(self.node, x, edges)
        if not sizes or sizes[0] != x[0] or math.prod(sizes[1:]) < 2:
            raise self.error(f"{self.bottom(2)} has shape {list(sizes)}; two values per picture are needed, its size.")
        if not 1 <= p.num_iter <= MOST_ROUNDS or p.spatial_sigma <= 0 or p.range_sigma <= 0 or p.min_weight < 0:
            raise self.error(
                f"num_iter {p.num_iter}, spatial_sigma {p.spatial_sigma:g}, range_sigma {p.range_sigma:g} and "
                f"min_weight {p.min_weight:g}: the first must be 1 to {MOST_ROUNDS}, the sigmas above 0, the last 0 or "
                "more."
            )
        self.rounds, self.least = p.num_iter, p.min_weight
        self.spatial, self.ratio = p.spatial_sigma, p.spatial_sigma / p.range_sigma
        return [x]

    def propagates_to(self, bottom: int) -> bool:
        return bottom < 2

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        x, edges, sizes = bottoms
        inside, fits = self._inside(stop_gradient(sizes), x.shape)
        for k in range(1, self.rounds + 1):
            sigma = self.spatial * math.sqrt(3) * 2.0 ** (self.rounds - k) / math.sqrt(4.0**self.rounds - 1)
            weights = jnp.where(inside, self._weights(edges, -math.sqrt(2) / sigma), 0)
            for axis in (3, 2):
                x = _filtered(x, weights, axis)
        return [jnp.where(fits, x, jnp.nan)]

    def _weights(self, edges: Array, rate: float) -> Array:
        value = jnp.clip(jnp.exp(rate * (1 + self.ratio * edges)), self.least, 1)
        # The fork's derivative: that of the exponential, at the clipped value.
        return stop_gradient(value) * jnp.exp(rate * self.ratio * (edges - stop_gradient(edges)))

    @staticmethod
    def _inside(sizes: Array, shape: Shape) -> tuple[Array, Array]:
        """Which positions are smoothed (N, 1, H, W), and which images are no larger than their maps (N, 1, 1, 1)."""
        rows, columns = (
            sizes.reshape(shape[0], math.prod(sizes.shape[1:]))[:, :2].astype(jnp.int32).T[:, :, None, None, None]
        )
        inside = (jnp.arange(shape[2])[:, None] < rows) & (jnp.arange(shape[3]) < columns)
        return inside, (rows <= shape[2]) & (columns <= shape[3])


def _filtered(x: Array, weights: Array, axis: int) -> Array:
    """Filters x forwards and then backwards along `axis`."""
    rows, w = jnp.moveaxis(x, axis, 0), jnp.moveaxis(weights, axis, 0)

    def step(before: Array, row: tuple[Array, Array]) -> tuple[Array, Array]:
        value, weight = row
        mixed = value + weight * (before - value)
        return mixed, mixed

    forwards = jnp.concatenate([rows[:1], lax.scan(step, rows[0], (rows[1:], w[1:]))[1]])
    backwards = lax.scan(step, forwards[-1], (forwards[:-1], w[1:]), reverse=True)[1]
    return jnp.moveaxis(jnp.concatenate([backwards, forwards[-1:]]), 0, axis)
