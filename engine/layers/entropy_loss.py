"""EntropyLoss: how undecided predictions are; for items without labels, in domain adaptation."""

import jax
import jax.numpy as jnp
import numpy as np

from engine.layers.base import Array, Arrays, Context, Shape, count
from engine.layers.loss import Loss, normalization, normalizer
from engine.layers.registry import layer
from engine.ops.replaced_gradient import with_gradient_of
from engine.proto import caffe_pb2 as pb

COUNTED = 1e-5
"""The value of Xlearn's loss leaves out probabilities below this one, whatever its threshold."""


@layer("EntropyLoss")
class EntropyLoss(Loss):
    """−Σ p log p / normalizer, where p is the softmax of the scores along `softmax_param.axis` (Mancini et al. 2018).

    The normalizer of loss_param is the number of predictions (VALID, the default, and FULL), of indices of the axes
    before `axis` (BATCH_SIZE), or 1 (NONE). Bottom: scores.
    """

    bottoms = (1, 1)

    def setup(self, x: Shape) -> list[Shape]:
        self.axis = self.canonical_axis(self.config.softmax_param.axis, x)
        mode = normalization(self.config.loss_param)
        if mode == pb.LossParameter.PRE_FIXED:
            raise self.error("normalization is PRE_FIXED; give VALID, FULL, BATCH_SIZE or NONE.")
        outer = count(x[: self.axis])
        predictions = outer * count(x[self.axis + 1 :])
        self.normalizer = normalizer(mode, outer, predictions, predictions)
        return [()]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        logs = jax.nn.log_softmax(bottoms[0], self.axis)
        least = np.log(np.finfo(np.float32).tiny)
        return [-jnp.sum(jnp.exp(logs) * jnp.maximum(logs, least)) / self.normalizer]


@layer("EntropyLoss", when=lambda config: config.HasField("entropy_param") or len(config.bottom) == 2)
class ProbabilityEntropyLoss(Loss):
    """Xlearn's and MADA's: the value is −Σ |p^prob_pow · log p| of probabilities p of N items, and so below 0.

    The gradient is that of −Σ p^prob_pow · log p / N, the mean entropy, for p of `threshold` or more, and 0 for others:
    of the opposite sign and another size. In the first `iterations_num` passes value and gradient are 0. The fork
    computes it on GPUs only. Bottoms: p (N, …); optionally labels, which are not used.
    """

    bottoms = (1, 2)
    no_gradient = (1,)

    def setup(self, x: Shape, labels: Shape | None = None) -> list[Shape]:
        p = self.config.entropy_param
        self.threshold, self.power, self.waits, self.items = p.threshold, p.prob_pow, p.iterations_num, max(1, x[0])
        if self.waits:
            self.remember("number of passes", ())
        return [()]

    def apply(self, params: Arrays, bottoms: Arrays, ctx: Context) -> tuple[list[Array], dict[int, Array]]:
        (loss,) = self.forward(params, bottoms, ctx)
        if not self.waits:
            return [loss], {}
        passes = params[len(self.params)]
        counted = passes + (1 if self.phase == pb.TRAIN else 0)
        return [jnp.where(passes < self.waits, 0, loss)], {len(self.params): counted}

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        p = bottoms[0]
        value = -jnp.sum(jnp.abs(self._terms(p, COUNTED)))
        return [with_gradient_of(value, -jnp.sum(self._terms(p, self.threshold)) / self.items)]

    def _terms(self, p: Array, least: float) -> Array:
        """p^prob_pow · log p, 0 where p is below `least`."""
        counts = p >= least
        safe = jnp.where(counts, p, 1)
        return jnp.where(counts, safe**self.power * jnp.log(safe), 0)
