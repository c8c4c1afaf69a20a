"""OnlineTripletLoss: all triplets of a batch that are not told apart (caffe_retrieval)."""

import jax
import jax.numpy as jnp
from jax.lax import stop_gradient

from engine.layers.base import Array, Arrays, Context, Shape, count
from engine.layers.loss import Loss
from engine.layers.registry import layer
from engine.ops.replaced_gradient import with_gradient_of
from engine.proto import caffe_pb2 as pb

Method = pb.TripletLossParameter
MARGIN = 0.2
"""Where none is given; TripletLoss has another."""

FARTHEST = 2.0
"""What the least distance in a class is taken for where it is larger: the fork expects features of length 1."""


@layer("OnlineTripletLoss")
class OnlineTripletLoss(Loss):
    """mu · Σ (margin + |a − p|² − |a − n|²) / T + (1 − mu) · the mean of |a − p|², the sum over chosen triplets.

    Items that follow each other with one label are a class: p is another item of a's, n one of another label. Chosen
    are triplets whose sum is 0 or more, with `negative` HARD those of |a − n|² ≤ |a − p|², with MODERATE the others;
    with `positive` HARD those whose p is no nearer than the class's mean distance, with MODERATE none of the farthest.
    T is their number, with `all_triplets` that of all. Bottoms: x (N, C), labels (N). Tops: the loss; how many of all
    have |a − p|² < |a − n|²; the number chosen; that of all; how many of all are chosen.
    """

    tops = (1, 5)

    def setup(self, x: Shape, labels: Shape) -> list[Shape]:
        p = self.config.triplet_loss_param
        self.check_items(x, labels)
        if count(labels) != x[0]:
            raise self.error(f"{self.bottom(1)} has shape {list(labels)}; it must hold one label an item.")
        self.margin = p.margin if p.HasField("margin") else MARGIN
        self.mu, self.negative, self.positive, self.of_all = p.mu, p.negative, p.positive, p.all_triplets
        return [()] * max(1, len(self.config.top))

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        x, labels = bottoms[0].reshape(len(bottoms[0]), -1), stop_gradient(bottoms[1]).reshape(-1)
        features = stop_gradient(x)
        apart = jax.lax.map(lambda row: jnp.sum(jnp.square(features - row), 1), features)
        begins = (labels != jnp.roll(labels, 1)) & (jnp.arange(len(labels)) > 0)
        pairs, others = _pairs(jnp.cumsum(begins)), labels[:, None] != labels
        near = pairs & self._positive(apart, pairs)
        counted, chosen, wrong = jax.lax.map(lambda row: self._of_anchor(*row), (apart, near, others))
        number, total = jnp.sum(chosen), jnp.sum(jnp.sum(near, 1) * jnp.sum(others, 1))
        divisor = jnp.maximum(total if self.of_all else number, 1)
        weights = self.mu * counted / divisor + (1 - self.mu) * pairs / jnp.maximum(jnp.sum(pairs), 1)
        loss = self.mu * self.margin * number / divisor + jnp.sum(weights * apart)
        both = weights + weights.T
        slopes = 2 * (jnp.sum(both, 1)[:, None] * features - jnp.matmul(both, features, precision="highest"))
        right, share = 1 - jnp.sum(wrong) / jnp.maximum(total, 1), number / jnp.maximum(total, 1)
        figures = (right, number.astype(x.dtype), total.astype(x.dtype), share)
        return [with_gradient_of(loss, jnp.sum(x * slopes)), *figures][: len(self.top_shapes)]

    def _positive(self, apart: Array, pairs: Array) -> Array:
        """(N, N): the items of a class that are taken beside each anchor, by the distances in that class."""
        same = (pairs | jnp.eye(len(pairs), dtype=bool)).astype(apart.dtype)
        total, number = (jnp.sum(same * jnp.sum(each, 1), 1) for each in (jnp.where(pairs, apart, 0), pairs))
        mean = (total / jnp.maximum(number, 1))[:, None]
        if self.positive == Method.HARD:
            return apart >= mean
        if self.positive == Method.MODERATE:
            nearest = jnp.min(jnp.where(pairs, apart, FARTHEST), 1, initial=FARTHEST)
            least = jnp.min(jnp.where(same > 0, nearest, FARTHEST), 1, initial=FARTHEST)
            return apart <= 2 * mean - least[:, None]
        return jnp.ones_like(pairs)

    def _of_anchor(self, apart: Array, near: Array, others: Array) -> tuple[Array, Array, Array]:
        """How often each item is p less how often it is n (N), how many triplets are chosen, and how many are wrong."""
        triplets = near[:, None] & others
        chosen = triplets & (self.margin + apart[:, None] - apart >= 0)
        if self.negative != Method.ALL:
            harder = apart <= apart[:, None]
            chosen &= harder if self.negative == Method.HARD else ~harder
        wrong = triplets & (apart[:, None] >= apart)
        return jnp.sum(chosen, 1) - jnp.sum(chosen, 0), jnp.sum(chosen), jnp.sum(wrong)


def _pairs(run: Array) -> Array:
    """(N, N): which items are two of one class, by the numbers (N) of their classes in the batch."""
    return (run[:, None] == run) & ~jnp.eye(len(run), dtype=bool)
