"""Losses, and Accuracy: layers that compare predictions with labels."""

import jax
import jax.numpy as jnp

from engine.layers.base import Array, LabelBounds, Layer, Shape, count, layer
from engine.proto import caffe_pb2 as pb

FLT_MIN = 1.1754944e-38
"""The smallest normal float32: Caffe's floor under a logarithm."""


def normalizer(
    p: pb.LossParameter, batch: int, full: int, valid: Array | int, default: pb.LossParameter.NormalizationMode
) -> Array | float:
    """What a loss is divided by: FULL (all predictions), VALID (those not ignored), BATCH_SIZE, or NONE.

    The old `normalize` field stands where `normalization` is absent: true means VALID, false BATCH_SIZE. Never under 1,
    so that a batch without one valid label has loss 0.
    """
    mode = default
    if p.HasField("normalization"):
        mode = p.normalization
    elif p.HasField("normalize"):
        mode = p.VALID if p.normalize else p.BATCH_SIZE
    n = {p.FULL: full, p.VALID: valid, p.BATCH_SIZE: batch, p.NONE: 1}[mode]
    return jnp.maximum(jnp.asarray(n, jnp.float32), 1)


class Labelled(Layer):
    """Predictions x with classes along one axis, and a label for each of the rest.

    Bottoms: x (d0, …, C, …, dn), labels of count d0 · … · dn without C.
    """

    bottoms = (2, 2)

    def match(self, x: Shape, labels: Shape, axis: int, ignore: int | None) -> None:
        """Keeps where the classes lie. Raises LayerError where there is not one label a prediction."""
        self.axis = self.canonical_axis(axis, x)
        self.outer, self.classes, self.inner = count(x[: self.axis]), x[self.axis], count(x[self.axis + 1 :])
        self.ignore = ignore
        if count(labels) != self.outer * self.inner:
            raise self.error(
                f"{self.bottom(1)} of shape {list(labels)} has {count(labels)} labels and {self.bottom(0)} of shape "
                f"{list(x)} has {self.outer * self.inner} predictions of {self.classes} classes along axis "
                f"{self.axis}; they must be as many."
            )

    def label_bounds(self) -> dict[int, LabelBounds]:
        return {1: LabelBounds(self.classes, self.ignore)}

    def aligned(self, x: Array, labels: Array) -> tuple[Array, Array, Array]:
        """x as (outer, C, inner), integer labels as (outer, inner), and which of them count."""
        rows = x.reshape(self.outer, self.classes, self.inner)
        ids = labels.reshape(self.outer, self.inner).astype(jnp.int32)
        valid = jnp.ones(ids.shape, bool) if self.ignore is None else ids != self.ignore
        return rows, ids, valid


@layer("SoftmaxWithLoss")
class SoftmaxWithLoss(Labelled):
    """−Σ log softmax(x)[label] / normalizer. An optional second top: the softmax itself, of x's shape."""

    loss = True
    tops = (1, 2)

    def setup(self, x: Shape, labels: Shape) -> list[Shape]:
        p = self.config.loss_param
        ignore = p.ignore_label if p.HasField("ignore_label") else None
        self.match(x, labels, self.config.softmax_param.axis, ignore)
        return [(), x][: max(1, len(self.config.top))]

    def forward(self, params, bottoms, ctx):
        x, labels = bottoms
        rows, ids, valid = self.aligned(x, labels)
        log_p = jax.nn.log_softmax(rows, axis=1)
        picked = jnp.take_along_axis(log_p, ids[:, None], axis=1, mode="clip")[:, 0]
        # The floor keeps the value finite; the gradient stays softmax − one-hot, as Caffe's.
        picked = picked + jax.lax.stop_gradient(jnp.maximum(picked, jnp.log(FLT_MIN)) - picked)
        total = -jnp.sum(jnp.where(valid, picked, 0))
        p = self.config.loss_param
        n = normalizer(p, self.outer, self.outer * self.inner, jnp.sum(valid), p.VALID)
        return [total / n, jnp.exp(log_p).reshape(x.shape)][: max(1, len(self.config.top))]


@layer("Accuracy")
class Accuracy(Labelled):
    """The share of predictions whose label is among the `top_k` largest. An optional second top: the same by class.

    As in Caffe a label counts as found only where fewer than `top_k` values are at least as large as its own, itself
    apart. Classes without a label have accuracy 0.
    """

    tops = (1, 2)

    def setup(self, x: Shape, labels: Shape) -> list[Shape]:
        p = self.config.accuracy_param
        self.match(x, labels, p.axis, p.ignore_label if p.HasField("ignore_label") else None)
        if p.top_k > self.classes:
            raise self.error(f"top_k {p.top_k} is more than the {self.classes} classes of {self.bottom(0)}.")
        return [(), (self.classes,)][: len(self.config.top)]

    def propagates_to(self, bottom: int) -> bool:
        return False

    def forward(self, params, bottoms, ctx):
        rows, ids, valid = self.aligned(*(jax.lax.stop_gradient(b) for b in bottoms))
        own = jnp.take_along_axis(rows, ids[:, None], axis=1, mode="clip")
        found = (jnp.sum(rows >= own, axis=1) <= self.config.accuracy_param.top_k) & valid
        tops = [jnp.sum(found) / jnp.sum(valid)]
        if len(self.config.top) == 2:
            member = (ids[:, None] == jnp.arange(self.classes)[:, None]) & valid[:, None]
            hits = jnp.sum(member & found[:, None], axis=(0, 2))
            tops.append(hits / jnp.maximum(jnp.sum(member, axis=(0, 2)), 1))
        return tops
