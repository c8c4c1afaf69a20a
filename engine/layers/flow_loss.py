"""Losses on flow and other maps: L1Loss of FlowNet and of NVIDIA's branch, and LpqLoss. NaN marks unknown values."""

from itertools import pairwise
from math import inf

import jax.numpy as jnp
from jax.lax import stop_gradient

from engine.layers.base import Array, Arrays, Context, Shape
from engine.layers.loss import Loss
from engine.layers.registry import layer
from engine.proto import caffe_pb2 as pb


@layer("L1Loss")
class L1Loss(Loss):
    """Σ |a − b| / N (NVIDIA). Bottoms: a and b, with N items of equally many values; both get a gradient."""

    targets = (0, 1)

    def setup(self, *bottoms: Shape) -> list[Shape]:
        self.check_pair(*bottoms)
        return [()]

    def propagates_to(self, bottom: int) -> bool:
        return True

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        a, b = bottoms
        return [jnp.sum(jnp.abs(a - b.reshape(a.shape))) / max(1, a.shape[0])]


class _FlowLoss(Loss):
    """A loss of a − b, or of a alone, each (N, C, …). NaN is excluded from the loss and gets no gradient."""

    bottoms = (1, 2)

    def check(self, *bottoms: Shape) -> None:
        """Raises LayerError if the bottoms differ in shape or have no channel axis."""
        if len(bottoms[0]) < 2 or bottoms[0] != bottoms[-1]:
            shapes = " and ".join(f"{self.bottom(i)} has shape {list(s)}" for i, s in enumerate(bottoms))
            raise self.error(f"{shapes}; they must be (N, C, …), of one shape.")

    def propagates_to(self, bottom: int) -> bool:
        return True

    def difference(self, bottoms: Arrays) -> tuple[Array, Array]:
        """Returns a − b with NaN replaced by 0, and where it is not NaN."""
        d = bottoms[0] - bottoms[1] if len(bottoms) == 2 else bottoms[0]
        known = ~jnp.isnan(d)
        return jnp.where(known, d, 0), known

    def divisor(self, known: Array, by_entries: bool) -> Array:
        """N, or with `by_entries` the number of known values divided by the channels, or 1 if nothing is known."""
        if not by_entries:
            return jnp.asarray(max(1, known.shape[0]), jnp.float32)
        entries = jnp.sum(known) / known.shape[1]
        return jnp.where(entries == 0, 1, entries)


@layer("L1Loss", when=lambda c: c.HasField("l1_loss_param") or len(c.bottom) == 1)
class FlowL1Loss(_FlowLoss):
    """Σ |d| / N with d = a − b (FlowNet), or with `l2_per_location` Σ √(Σ_c d² + epsilon) / N, Σ over positions.

    `l2_prescale_by_channels` takes the mean over the channels c instead of the sum. `normalize_by_num_entries` divides
    by the number of positions that are not NaN instead of N. |d|, or √Σ_c d², below `plateau` counts as 0. The gradient
    of |d| at 0 is −1.
    """

    def setup(self, *bottoms: Shape) -> list[Shape]:
        p = self.config.l1_loss_param
        self.check(*bottoms)
        self.per_place, self.by_entries = p.l2_per_location, p.normalize_by_num_entries
        self.scale = 1 / max(1, bottoms[0][1]) if p.l2_prescale_by_channels else 1.0
        self.epsilon, self.plateau = p.epsilon, p.plateau
        return [()]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        d, known = self.difference(bottoms)
        divisor = self.divisor(known, self.by_entries)
        if self.per_place:
            square = self.scale * jnp.sum(jnp.square(d), axis=1)
            if self.plateau > 0:
                square = jnp.where(square < self.plateau**2, 0, square)
            return [jnp.sum(jnp.sqrt(square + self.epsilon)) / divisor]
        counts = known & ~(jnp.abs(d) < self.plateau) if self.plateau > 0 else known
        d = jnp.where(counts, d, 0)
        return [jnp.sum(d * stop_gradient(jnp.where(d > 0, 1, -1))) / divisor]


@layer("LpqLoss")
class LpqLoss(_FlowLoss):
    """Σ (Σ_c (|d| + p_epsilon)^p + q_epsilon)^q / N with d = a − b, the outer sum over positions (FlowNet 2.0).

    `l2_prescale_by_channels` and `normalize_by_num_entries` are as in L1Loss. With several p and q, each pair applies
    from the pass given in `pq_episode_starts_at_iter` on, counted from 0; TEST uses the first pair.
    """

    def setup(self, *bottoms: Shape) -> list[Shape]:
        p = self.config.lpq_loss_param
        self.check(*bottoms)
        starts = list(p.pq_episode_starts_at_iter) or [0] * (len(p.p) == len(p.q) == 1)
        if not len(starts) == len(p.p) == len(p.q) > 0:
            raise self.error(
                f"lpq_loss_param has {len(starts)} pq_episode_starts_at_iter, {len(p.p)} p and {len(p.q)} q; give "
                "equally many of each, 1 or more."
            )
        powers, epsilons = (*p.p, *p.q), (p.p_epsilon, p.q_epsilon)
        if min(powers) <= 0 or min(epsilons) < 0 or inf in (*powers, *epsilons):
            raise self.error(
                f"p is {list(p.p)}, q {list(p.q)}, p_epsilon {p.p_epsilon:g} and q_epsilon {p.q_epsilon:g}; the powers "
                "must be above 0, the epsilons 0 or more, and all finite."
            )
        if starts[0] or any(a >= b for a, b in pairwise(starts)):
            raise self.error(f"pq_episode_starts_at_iter is {starts}; it must begin with 0 and increase.")
        self.starts, self.p, self.q = starts[1:], list(p.p), list(p.q)
        self.epsilons, self.by_entries = epsilons, p.normalize_by_num_entries
        self.scale = 1 / max(1, bottoms[0][1]) if p.l2_prescale_by_channels else 1.0
        self.changes = bool(self.starts) and self.phase == pb.TRAIN
        if self.changes:
            self.remember("number of passes", (1,))
        return [()]

    def apply(self, params: Arrays, bottoms: Arrays, ctx: Context) -> tuple[list[Array], dict[int, Array]]:
        d, known = self.difference(bottoms)
        divisor = self.divisor(known, self.by_entries)
        losses = [self._total(d, known, p, q) for p, q in zip(self.p, self.q, strict=True)]
        if not self.changes:
            return [losses[0] / divisor], {}
        passes = params[0]
        episode = sum((passes[0] >= start for start in self.starts), jnp.zeros((), jnp.int32))
        return [jnp.stack(losses)[episode] / divisor], {0: passes + 1}

    def _total(self, d: Array, known: Array, p: float, q: float) -> Array:
        """Σ (Σ_c (|d| + p_epsilon)^p + q_epsilon)^q. Unknown values skip the power, which may have no slope at 0."""
        at_p, at_q = self.epsilons
        size = jnp.where(known, jnp.where(d > 0, d, -d), 1) + at_p
        return jnp.sum(
            (self.scale * jnp.sum(jnp.where(known, size**p, jnp.asarray(at_p, d.dtype) ** p), axis=1) + at_q) ** q
        )
