"""Accuracy: the share of correct predictions."""

import jax
import jax.numpy as jnp

from engine.graph import predictions
from engine.layers.base import Array, Arrays, Context, Shape
from engine.layers.loss import Labelled, ignored
from engine.layers.registry import layer


@layer("Accuracy")
class Accuracy(Labelled):
    """The share of predictions whose label is among the `top_k` largest. An optional second top: the share per class.

    A prediction is correct if at most `top_k` of its values, that of the label included, are at least as large as the
    label's: ties count against it. If all labels are ignored, the accuracy is 0. There is no gradient. With
    min_is_better (NormFace), x holds distances, and the smallest win.
    """

    ignored_by = "accuracy_param"

    def setup(self, x: Shape, labels: Shape) -> list[Shape]:
        p = self.config.accuracy_param
        self.match(x, labels, p.axis, ignored(p))
        self.top_k, self.sign = predictions.top_k(self.node, p.top_k, self.classes), -1 if p.min_is_better else 1
        return [(), (self.classes,)][: len(self.config.top)]

    def propagates_to(self, bottom: int) -> bool:
        return False

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        x = self.sign * jax.lax.stop_gradient(bottoms[0])
        rows, ids, valid = self.aligned(x, bottoms[1])
        rivals = jnp.sum(rows >= self.of_label(rows, ids)[:, None], axis=1)
        correct = (rivals <= self.top_k) & valid
        member = (ids[:, None] == jnp.arange(self.classes)[:, None]) & valid[:, None]
        tops = [_share(correct, valid, None), _share(member & correct[:, None], member, (0, 2))]
        return [top.astype(x.dtype) for top in tops[: len(self.top_shapes)]]


def _share(part: Array, whole: Array, axes: tuple[int, ...] | None) -> Array:
    return jnp.sum(part, axes) / jnp.maximum(jnp.sum(whole, axes), 1)
