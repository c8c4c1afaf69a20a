"""Items with several labels, 1 where a class is there: MultiLabelLoss, MultiLabelAccuracy."""

import jax
import jax.numpy as jnp
from jax.lax import stop_gradient

from engine.graph import predictions
from engine.layers.base import Array, Arrays, Context, Layer, Shape
from engine.layers.loss import Loss, no_minus_zero
from engine.layers.registry import layer


@layer("MultiLabelLoss")
class MultiLabelLoss(Loss):
    """−Σ log σ(± x) / N: x for targets above 0 and −x for those below; a target of 0 does not count.

    Bottoms: scores x (N, …), equally many targets.
    """

    targets = (1,)

    def setup(self, x: Shape, targets: Shape) -> list[Shape]:
        self.check_pair(x, targets)
        return [()]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        x, t = bottoms[0], stop_gradient(bottoms[1]).reshape(bottoms[0].shape)
        terms = jnp.where(t > 0, jax.nn.softplus(-x), jax.nn.softplus(x))
        return [no_minus_zero(jnp.sum(jnp.where(t != 0, terms, 0)) / max(1, x.shape[0]))]


@layer("MultiLabelLoss", when=lambda config: config.HasField("loss_param"))
class BalancedMultiLabelLoss(Loss):
    """The loss of semantic edges (yun-liu/DDS): −Σ w log σ(± x) / N over targets of 1 (x) and of 0 (−x).

    Other targets do not count. w is, for targets of 1, the share of an item's places without an edge, and for targets
    of 0 the share of those with one. A place has an edge if any of its channels has target 1, and none if all that
    count have 0. Bottoms: scores x (N, C, …), targets of the same shape. loss_param says that it is this one, and sets
    nothing.
    """

    targets = (1,)

    def setup(self, x: Shape, targets: Shape) -> list[Shape]:
        if len(x) < 2 or x != targets:
            raise self.error(
                f"{self.bottom(0)} has shape {list(x)} and {self.bottom(1)} {list(targets)}; it takes two of one shape "
                "(N, C, …)."
            )
        return [()]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        n, c = bottoms[0].shape[:2]
        x, t = (b.reshape(n, c, -1) for b in bottoms)
        edges = jnp.any(t == 1, 1)
        without = ~edges & jnp.any(t == 0, 1)
        some, none = (jnp.sum(at, 1)[:, None, None].astype(x.dtype) for at in (edges, without))
        total = jnp.maximum(some + none, 1)
        positive = jnp.where(t == 1, jax.nn.softplus(-x), 0) * none / total
        negative = jnp.where(t == 0, jax.nn.softplus(x), 0) * some / total
        return [jnp.sum(positive + negative) / max(1, n)]


@layer("MultiLabelAccuracy")
class MultiLabelAccuracy(Layer):
    """How well the signs of scores agree with targets above and below 0; targets of 0 do not count.

    Top (1, 5, 1, 1): recall TP / P, specificity TN / N, their harmonic mean 2 / (P / TP + N / TN), precision
    TP / (TP + FP), and F1 = 2 TP / (2 TP + FP + FN). A score of 0 is positive. A share of nothing is 0, but the mean is
    NaN if there are no positives or no negatives, as in the fork. Bottoms: scores, equally many targets, which are
    rounded towards 0. It has no gradient.
    """

    bottoms = (2, 2)

    def setup(self, x: Shape, targets: Shape) -> list[Shape]:
        predictions.pair(self.node, x, targets)
        return [(1, 5, 1, 1)]

    def propagates_to(self, bottom: int) -> bool:
        return False

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        x, t = (stop_gradient(b).reshape(-1) for b in bottoms)
        present, absent, predicted = jnp.trunc(t) > 0, jnp.trunc(t) < 0, x >= 0
        p, n, tp, fp = (jnp.sum(which) for which in (present, absent, present & predicted, absent & predicted))
        tn = n - fp
        recall, specificity = _share(tp, p), _share(tn, n)
        slow = _share(p, tp, jnp.where(p > 0, jnp.inf, jnp.nan)) + _share(n, tn, jnp.where(n > 0, jnp.inf, jnp.nan))
        mean = jnp.where(p + n > 0, 2 / slow, 0)
        figures = [recall, specificity, mean, _share(tp, tp + fp), _share(2 * tp, tp + p + fp)]
        return [jnp.stack(figures).astype(bottoms[0].dtype).reshape(1, 5, 1, 1)]


def _share(part: Array, whole: Array, else_: Array | float = 0) -> Array:
    """part / whole; `else_` where whole is 0."""
    return jnp.where(whole > 0, part / jnp.maximum(whole, 1), else_)
