"""OnlineTripletLoss: a loss on all triplets of a batch that violate the margin (caffe_retrieval)."""

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
"""The default margin, which differs from that of TripletLoss."""

FARTHEST = 2.0
"""The smallest distance in a class is limited to this, as in the fork, which expects features of length 1."""


@layer("OnlineTripletLoss")
class OnlineTripletLoss(Loss):
    """mu · Σ (margin + |a − p|² − |a − n|²) / T + (1 − mu) · mean |a − p|², the sum over the selected triplets.

    Consecutive items with the same label form a class; p is another item of the class of a, n an item with another
    label. A triplet is selected if its term is 0 or more. `negative` HARD selects only those with |a − n|² ≤ |a − p|²,
    MODERATE only the others. `positive` HARD requires p to be at least as far from a as the mean distance in the class;
    MODERATE excludes the farthest p. T is the number of selected triplets, or of all with `all_triplets`.
    Bottoms: x (N, C), labels (N). Tops: the loss; the share of all triplets with |a − p|² < |a − n|²; the number of
    selected triplets; the number of all; the share selected.
    """

    tops = (1, 5)

    def setup(self, x: Shape, labels: Shape) -> list[Shape]:
        p = self.config.triplet_loss_param
        self.check_items(x, labels)
        if count(labels) != x[0]:
            raise self.error(f"{self.bottom(1)} has shape {list(labels)}; it must hold one label per item.")
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
        """(N, N): which items can be p for each anchor, depending on the distances in its class."""
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
        """For one anchor: how often each item is p minus how often it is n (N), and how many triplets are selected and
        how many are wrong."""
        triplets = near[:, None] & others
        chosen = triplets & (self.margin + apart[:, None] - apart >= 0)
        if self.negative != Method.ALL:
            harder = apart <= apart[:, None]
            chosen &= harder if self.negative == Method.HARD else ~harder
        wrong = triplets & (apart[:, None] >= apart)
        return jnp.sum(chosen, 1) - jnp.sum(chosen, 0), jnp.sum(chosen), jnp.sum(wrong)


def _pairs(run: Array) -> Array:
    """(N, N): which pairs are two different items of one class; `run` (N) is the index of their class in the batch."""
    return (run[:, None] == run) & ~jnp.eye(len(run), dtype=bool)
