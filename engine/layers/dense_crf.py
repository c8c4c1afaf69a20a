"""DenseCRF: refines scores by a fully connected random field over an image (Krähenbühl and Koltun 2011)."""

import math

import jax.numpy as jnp
import numpy as np
from jax import lax

from engine.graph import random_fields
from engine.layers.base import Array, Arrays, Context, Layer, Shape
from engine.layers.registry import layer
from engine.ops import permutohedral_lattice
from engine.ops.pixel_features import colours, places
from engine.ops.rounded import divided

_Weighted = tuple[permutohedral_lattice.Filter, float]

FAR = 20.0
"""In the fork, a class whose score is further than this below the largest has probability 0."""


@layer("DenseCRF")
class DenseCRF(Layer):
    """Iterates p ← softmax(x + Σ_k w_k f_k(p)) max_iter times, starting from softmax(x), for scores x at each position.

    f_k is a Gaussian filter, normalised by the sum of its weights. Spatial filters have standard deviations pos_xy_std
    and weights w = pos_w. If there is an image, bilateral filters have standard deviations bi_xy_std in position and
    bi_rgb_std in colour, and weights w = bi_w. There is no gradient.
    Bottoms: x (N, C, H, W); the rows and columns of each image (N, 2, 1, 1): the part of the map beyond the image is
    excluded, and 0 in the top; optionally the image (N, 3, H, W). (The fork uses the colours of the first image for the
    whole batch, and does not work without the third bottom, although it claims to.)
    Top: p, or its logarithm with `output_probability: false`, of x's shape.
    """

    bottoms = (2, 3)

    def setup(self, scores: Shape, sizes: Shape, picture: Shape | None = None) -> list[Shape]:
        random_fields.dense_crf(self.node, scores, sizes, picture)
        p = self.config.dense_crf_param
        self.rounds, self.probability = max(0, p.max_iter), p.output_probability
        self.near = list(zip(p.pos_xy_std, p.pos_w, strict=True))
        self.alike = list(zip(p.bi_xy_std, p.bi_rgb_std, p.bi_w, strict=True)) if picture is not None else []
        return [scores]

    def propagates_to(self, bottom: int) -> bool:
        return False

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        scores, sizes, *pictures = (lax.stop_gradient(x) for x in bottoms)
        n, classes, rows, columns = scores.shape
        if not scores.size:
            return [scores]
        x = scores.reshape(n, classes, rows * columns).swapaxes(1, 2)
        ends = sizes.reshape(n, math.prod(sizes.shape[1:]))[:, :2]
        place = places(rows, columns, scores.dtype)

        def field(one: tuple[Array, ...]) -> Array:
            x, end, *picture = one
            # Fractions of a size are truncated, and sizes larger than the map have no effect.
            inside = (place[:, 1] < jnp.trunc(end[0])) & (place[:, 0] < jnp.trunc(end[1]))
            filters = self._near(place, inside)
            if picture:
                filters += self._alike(place, picture[0], inside)
            p = self._iterated(filters, x)
            output = p if self.probability else jnp.log(jnp.maximum(p, np.finfo(np.float32).tiny))
            return jnp.where(inside[:, None], output, 0)

        return [lax.map(field, (x, ends, *pictures)).swapaxes(1, 2).reshape(scores.shape)]

    def _near(self, place: Array, inside: Array) -> list[_Weighted]:
        return [(permutohedral_lattice.built(divided(place, std), inside), weight) for std, weight in self.near]

    def _alike(self, place: Array, picture: Array, inside: Array) -> list[_Weighted]:
        filters = []
        for std, of_colours, weight in self.alike:
            features = jnp.concatenate([divided(place, std), divided(colours(picture), of_colours)], axis=1)
            filters.append((permutohedral_lattice.built(features, inside), weight))
        return filters

    def _iterated(self, filters: list[_Weighted], x: Array) -> Array:
        def iteration(_: int, p: Array) -> Array:
            return _probabilities(x + sum(w * permutohedral_lattice.smoothed(f, p) for f, w in filters))

        return lax.fori_loop(0, self.rounds, iteration, _probabilities(x))


def _probabilities(scores: Array) -> Array:
    """The softmax over classes (P, C), with 0 for scores far below the largest."""
    below = scores - scores.max(1, keepdims=True)
    e = jnp.where(below < -FAR, 0, jnp.exp(below))
    return e / e.sum(1, keepdims=True)
