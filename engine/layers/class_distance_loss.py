"""Losses on the distances of each item to each class: NormFace's GeneralContrastiveLoss and GeneralTripletLoss."""

import jax.numpy as jnp
from jax.lax import stop_gradient

from engine.layers.base import Array, Arrays, Context, Shape, count
from engine.layers.loss import Labelled
from engine.layers.registry import layer
from engine.ops.replaced_gradient import with_gradient_of


class _Distances(Labelled):
    """The base of both. Bottoms: distances d (N, C), labels, optionally a third. Tops: the loss, optionally means of d.

    The gradient is the fork's: a slope for each distance, times loss_weight / N. The second top has no gradient.
    """

    loss = True
    bottoms = (2, 3)
    tops = (1, 2)
    measures = 2
    """The number of values in the second top."""

    def setup(self, d: Shape, labels: Shape, third: Shape = ()) -> list[Shape]:
        if not d:
            raise self.error(f"{self.bottom(0)} is a scalar; its first axis must be the batch.")
        self.match((d[0], count(d[1:])), labels, 1)
        return [(), (self.measures,)][: len(self.config.top) or 1]

    def propagates_to(self, bottom: int) -> bool:
        return bottom == 0

    def own(self, labels: Array) -> Array:
        """(N, C): which class is each item's own."""
        return labels.reshape(-1, 1).astype(jnp.int32) == jnp.arange(self.classes)

    def summed(self, d: Array, terms: Array, slopes: Array) -> Array:
        """Σ |terms| / N, whose gradient is slopes / N."""
        value = stop_gradient(jnp.sum(jnp.abs(terms))) / self.outer
        return with_gradient_of(value, jnp.sum(d * stop_gradient(slopes)) / self.outer)


@layer("GeneralContrastiveLoss")
class GeneralContrastiveLoss(_Distances):
    """(Σ w₊ min(t, max(0, d₊ − m₊)) + Σ w₋ max(0, m₋ − d₋)) / N, d₊ being to an item's own class, d₋ to any other.

    exp_negative_weight: the term of d₋ is w₋ e^−d₋ where d₋ < m₋. positive_first: an item with d₊ above
    positive_upper_bound has no negative terms, and its d₊ has slope w₊. max_negative_only: only the largest negative
    term of an item counts. max_positive_only: of all items, only the one with the smallest positive term keeps it, as
    in the fork. normalize_negative: negative slopes are divided by |their sum| / (normalize_negative · N), if that is
    above w₊. add_intra_mae: a running mean of the second top's first value, at most max_negative_margin, is added to
    m₋. With a third bottom, the loss is computed from its distances, and d only gets the gradient.
    Second top: the means of min(t, max(0, d₊ − m₊)) and of max(0, m₋ − d₋); with add_intra_mae, also the running mean.
    """

    def setup(self, d: Shape, labels: Shape, third: Shape = ()) -> list[Shape]:
        self.p = p = self.config.general_contrastive_loss_param
        self.measures = 3 if p.add_intra_mae else 2
        tops = super().setup(d, labels)
        if third and count(third) != count(d):
            raise self.error(f"{self.bottom(2)} has shape {list(third)}; it must be {list(d)}, like {self.bottom(0)}.")
        if p.HasField("normalize_negative") and p.normalize_negative <= 0:
            raise self.error(f"normalize_negative is {p.normalize_negative:g}; it must be above 0.")
        if p.add_intra_mae:
            self.remember("mean distance", ())
        return tops

    def apply(self, params: Arrays, bottoms: Arrays, ctx: Context) -> tuple[list[Array], dict[int, Array]]:
        p, own = self.p, self.own(bottoms[1])
        mean = params[0] if p.add_intra_mae else jnp.zeros(())
        distances = bottoms[0].reshape(self.outer, self.classes)
        d = stop_gradient(bottoms[-1].reshape(distances.shape) if len(bottoms) == 3 else distances)
        margin = p.negative_margin + mean
        above = jnp.minimum(p.positive_outlier_thresh, jnp.maximum(0, d - p.positive_margin))
        positive = jnp.where(own, above * p.positive_weight, 0)
        below = jnp.where(own, 0, jnp.maximum(0, margin - d))
        negative, negative_slopes = below * p.negative_weight, jnp.full_like(d, -p.negative_weight)
        if p.exp_negative_weight:
            negative = jnp.exp(-d) * p.negative_weight
            negative_slopes = -negative
        near = ~own & (d < margin)
        negative = jnp.where(near, negative, 0)
        far = jnp.any(own & (d > p.positive_upper_bound), axis=1, keepdims=True) & p.positive_first
        counted, chosen = ~far, jnp.ones_like(own)
        if p.max_negative_only:
            # The fork starts its comparison with class 0, even if that is the item's own.
            rivals = jnp.where(own & (jnp.arange(self.classes) > 0), -jnp.inf, negative + positive)
            counted &= jnp.arange(self.classes) == jnp.argmax(rivals, axis=1)[:, None]
        if p.max_positive_only:
            chosen = (jnp.arange(self.outer) == jnp.argmin(jnp.sum(positive, axis=1)))[:, None]
        terms = jnp.where(own, jnp.where(chosen, positive, 0), jnp.where(counted, negative, 0))
        pulls = (d > p.positive_margin) & (d < p.positive_outlier_thresh) & chosen
        pushes = jnp.where(near & counted, negative_slopes, 0)
        if p.HasField("normalize_negative"):
            total = jnp.abs(jnp.sum(pushes)) / p.normalize_negative / self.outer
            pushes = jnp.where(total > p.positive_weight, pushes / jnp.where(total > 0, total, 1), pushes)
        slopes = jnp.where(own, jnp.where(pulls | far, p.positive_weight, 0), pushes)
        first = jnp.sum(jnp.where(own, above, 0)) / self.outer
        second = jnp.sum(jnp.where(near, below, 0)) / self.outer / max(1, self.classes - 1)
        mean = jnp.minimum(0.99 * mean + 0.01 * first, p.max_negative_margin)
        measures = jnp.stack([first, second, mean][: self.measures])
        tops = [self.summed(distances, terms, slopes), stop_gradient(measures)][: len(self.top_shapes)]
        return tops, {0: mean} if p.add_intra_mae else {}


@layer("GeneralTripletLoss")
class GeneralTripletLoss(_Distances):
    """Σ w₋ max(0, d₊ + margin − d₋) / N, d₊ being the distance to an item's own class, d₋ that to any other.

    The slope of d₋ is −w₋ where the term is above 0. The slope of d₊ is w₊; without add_center_loss, only if any term
    of the item is above 0. hardest_only: only the largest term of an item counts, the first among equals.
    positive_first: if d₊ is above positive_upper_bound, no term of the item counts, and d₊ has slope w₊. A third bottom
    (N) multiplies the slopes of each item.
    Second top: the means of d₊ and of d₋.
    """

    def setup(self, d: Shape, labels: Shape, weights: Shape = ()) -> list[Shape]:
        self.p = self.config.general_triplet_loss_param
        tops = super().setup(d, labels)
        if weights and count(weights) != self.outer:
            raise self.error(
                f"{self.bottom(2)} has shape {list(weights)}; it must hold {self.outer} values, one an item."
            )
        return tops

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        p, own = self.p, self.own(bottoms[1])
        distances = bottoms[0].reshape(self.outer, self.classes)
        d = stop_gradient(distances)
        own_distance = jnp.sum(jnp.where(own, d, 0), axis=1, keepdims=True)
        terms = jnp.where(own, 0, jnp.maximum(0, own_distance + p.margin - d) * p.negative_weight)
        violated = ~own & (own_distance + p.margin > d)
        if p.hardest_only:
            hardest = jnp.arange(self.classes) == jnp.argmax(terms, axis=1)[:, None]
            # As in the fork, which takes a distance of 0 to mean that there is no distance.
            terms, violated = jnp.where(hardest, terms, 0), violated & hardest & (d != 0)
        far = (own_distance > p.positive_upper_bound) & p.positive_first
        pushes = jnp.where(violated & ~far, -p.negative_weight, 0)
        moved = jnp.any(violated, axis=1, keepdims=True) | p.add_center_loss | far
        slopes = jnp.where(own, jnp.where(moved, p.positive_weight, 0), pushes)
        if len(bottoms) == 3:
            slopes = slopes * bottoms[2].reshape(-1, 1)
        means = jnp.mean(own_distance), jnp.sum(jnp.where(own, 0, d)) / self.outer / max(1, self.classes - 1)
        tops = [self.summed(distances, jnp.where(far, 0, terms), slopes), jnp.stack(means)]
        return tops[: len(self.top_shapes)]
