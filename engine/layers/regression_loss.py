"""Losses that compare values or pairs: EuclideanLoss, SigmoidCrossEntropyLoss, ContrastiveLoss."""

import jax
import jax.numpy as jnp
from jax.lax import stop_gradient

from engine.layers.base import Array, Arrays, Context, Shape, count, rows
from engine.layers.loss import Loss, ignored, normalization, normalizer
from engine.layers.registry import layer


@layer("EuclideanLoss")
class EuclideanLoss(Loss):
    """Σ (a − b)² / 2N. Bottoms: a and b, with N items of equally many values; both get a gradient."""

    targets = (0, 1)

    def setup(self, a: Shape, b: Shape) -> list[Shape]:
        self.check_pair(a, b)
        return [()]

    def propagates_to(self, bottom: int) -> bool:
        return True

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        a, b = bottoms
        return [jnp.sum(jnp.square(a - b.reshape(a.shape))) / (2 * max(1, a.shape[0]))]


@layer("SigmoidCrossEntropyLoss")
class SigmoidCrossEntropyLoss(Loss):
    """−Σ (t log σ(x) + (1 − t) log(1 − σ(x))) / normalizer, BATCH_SIZE by default.

    Bottoms: scores x, and equally many targets t, from 0 to 1. Targets whose integer part is ignore_label do not count.
    An optional third bottom, from MNC, holds equally many weights, without gradient: they multiply the terms, and their
    sum is the normalizer if it is above 0.
    """

    targets = (1,)
    no_gradient = (1, 2)

    def setup(self, x: Shape, targets: Shape, weights: Shape | None = None) -> list[Shape]:
        self.check_pair(x, targets)
        if weights is not None and count(weights) != count(x):
            raise self.error(
                f"{self.bottom(2)} has shape {list(weights)} and {self.bottom(0)} {list(x)}; give each score a weight."
            )
        p = self.config.loss_param
        self.ignore, self.normalization, self.fixed = ignored(p), normalization(p, p.BATCH_SIZE), p.pre_fixed_normalizer
        return [()]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        x, t = bottoms[0], stop_gradient(bottoms[1]).reshape(bottoms[0].shape)
        valid = jnp.ones(t.shape, bool) if self.ignore is None else t.astype(jnp.int32) != self.ignore
        terms = jnp.where(valid, jax.nn.softplus(x) - x * t, 0)
        if len(bottoms) == 3:
            weights = stop_gradient(bottoms[2]).reshape(x.shape)
            total_weight = jnp.sum(weights)
            return [jnp.sum(weights * terms) / jnp.where(total_weight > 0, total_weight, 1)]
        total = jnp.sum(terms)
        return [total / normalizer(self.normalization, x.shape[0], x.size, jnp.sum(valid), self.fixed)]


@layer("ContrastiveLoss")
class ContrastiveLoss(Loss):
    """Σ (y d² + (1 − y) max(margin − d, 0)²) / 2N with d = |a − b| (Hadsell et al. 2006).

    With `legacy_version`, max(margin − d², 0) takes the place of max(margin − d, 0)². Bottoms: a and b (N, C); y (N), 1
    for similar pairs and 0 for dissimilar ones.
    """

    targets = (2,)

    def setup(self, a: Shape, b: Shape, y: Shape) -> list[Shape]:
        self.check_items(a, b, y)
        if count(a) != count(b) or count(a[2:]) != 1 or count(b[2:]) != 1:
            raise self.error(
                f"{self.bottom(0)} has shape {list(a)} and {self.bottom(1)} {list(b)}; both must be (N, C), of the "
                "same C."
            )
        if count(y) != a[0]:
            raise self.error(f"{self.bottom(2)} of shape {list(y)} must hold one value for each of the {a[0]} pairs.")
        p = self.config.contrastive_loss_param
        self.margin, self.legacy = p.margin, p.legacy_version
        return [()]

    def propagates_to(self, bottom: int) -> bool:
        return bottom != 2

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        a, b = (rows(v) for v in bottoms[:2])
        alike = bottoms[2].reshape(-1).astype(jnp.int32) != 0
        diff = a - b
        square = jnp.sum(jnp.square(diff), axis=1)
        if self.legacy:
            apart = jnp.where(square < self.margin, self.margin - square, 0)
        else:
            near = self.margin - self._distance(diff)
            apart = jnp.square(jnp.where(near > 0, near, 0))
        nan_or_0 = 0 * bottoms[2].reshape(-1)  # a NaN in y is neither similar nor dissimilar: the loss becomes NaN
        return [jnp.sum(jnp.where(alike, square, apart) + nan_or_0) / (2 * max(1, a.shape[0]))]

    @staticmethod
    def _distance(diff: Array) -> Array:
        """|diff| along axis 1, with Caffe's gradient diff / (|diff| + 10⁻⁴), which is 0 at 0, where |diff| has none."""
        value = stop_gradient(jnp.sqrt(jnp.sum(jnp.square(diff), axis=1)))
        slope = jnp.sum(stop_gradient(diff) / (value[:, None] + 1e-4) * diff, axis=1)
        return value + (slope - stop_gradient(slope))
