"""What losses share: their normalisation, and predictions that go with labels."""

from functools import partial
from typing import ClassVar

import jax
import jax.numpy as jnp

from engine.data.label_bounds import LabelBounds
from engine.graph import predictions
from engine.layers.base import Array, Layer, Shape
from engine.proto import caffe_pb2 as pb

LOG_THRESHOLD = 1e-20
"""Caffe's floor under the logarithm of a probability, in the losses older than SoftmaxWithLoss."""


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def floored(y: Array, least: float) -> Array:
    """max(y, least), with the gradient of y: Caffe's floors keep a value finite and leave the gradient as it is."""
    return jnp.maximum(y, least)


@floored.defjvp
def _floored_jvp(least: float, primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    return floored(primals[0], least), tangents[0]


@jax.custom_jvp
def no_minus_zero(y: Array) -> Array:
    """y, with 0 for −0, which −Σ gives where Caffe subtracts from 0; the gradient is y's."""
    return jnp.where(y == 0, 0, y)


@no_minus_zero.defjvp
def _no_minus_zero_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    return no_minus_zero(primals[0]), tangents[0]


Mode = pb.LossParameter.NormalizationMode


def normalization(p: pb.LossParameter, default: Mode = pb.LossParameter.VALID) -> Mode:
    """How a loss is normalised; the old `normalize` stands where `normalization` is absent: VALID or BATCH_SIZE."""
    if p.HasField("normalization"):
        return p.normalization
    if p.HasField("normalize"):
        return p.VALID if p.normalize else p.BATCH_SIZE
    return default


def normalizer(mode: Mode, batch: int, full: int, valid: Array | int, fixed: float = 1) -> Array:
    """What a loss is divided by: FULL (all predictions), VALID (those not ignored), BATCH_SIZE, NONE, or PRE_FIXED.

    Never under 1, so that a batch without one valid label has loss 0. fixed: the loss_param's pre_fixed_normalizer.
    """
    p = pb.LossParameter
    n = {p.FULL: full, p.VALID: valid, p.BATCH_SIZE: batch, p.NONE: 1, p.PRE_FIXED: fixed}[mode]
    return jnp.maximum(jnp.asarray(n, jnp.float32), 1)


class Loss(Layer):
    """A first bottom that is judged by the others; the first top is a scalar, of loss weight 1."""

    loss = True
    bottoms = (2, 2)
    targets: ClassVar[tuple[int, ...]] = ()
    """The bottoms that may come right from the data, and hold any finite number."""

    def label_bounds(self) -> dict[int, LabelBounds]:
        return {bottom: LabelBounds(None, layer=self.node.shown) for bottom in self.targets}

    def check_items(self, *bottoms: Shape) -> None:
        """Raises LayerError where a bottom has another number of items than the first."""
        predictions.same_items(self.node, bottoms)

    def check_pair(self, a: Shape, b: Shape) -> None:
        """Raises LayerError where the first two bottoms differ in their items or in how many values they hold."""
        predictions.pair(self.node, a, b)


class Labelled(Layer):
    """Predictions x with classes along one axis, and a label for each of the rest.

    Bottoms: x (d0, …, C, …, dn), labels of count d0 · … · dn without C.
    """

    bottoms = (2, 2)
    ignored_by: ClassVar[str] = ""
    """The block in which the type takes an ignore_label; "" where it takes none."""

    def match(self, x: Shape, labels: Shape, axis: int, ignore: int | None = None) -> None:
        """Keeps where the classes lie. Raises LayerError where there is not one label a prediction."""
        self.axis, self.outer, self.classes, self.inner = predictions.classes(self.node, x, labels, axis)
        self.ignore = ignore

    def label_bounds(self) -> dict[int, LabelBounds]:
        return {1: LabelBounds(self.classes, self.ignore, self.node.shown, self.ignored_by)}

    def aligned(self, x: Array, labels: Array) -> tuple[Array, Array, Array]:
        """x as (outer, C, inner), integer labels as (outer, inner), and which of them count."""
        rows = x.reshape(self.outer, self.classes, self.inner)
        ids = labels.reshape(self.outer, self.inner).astype(jnp.int32)
        valid = jnp.ones(ids.shape, bool) if self.ignore is None else ids != self.ignore
        return rows, ids, valid

    def of_label(self, rows: Array, ids: Array) -> Array:
        """The value of each prediction's own label: (outer, C, inner) → (outer, inner).

        Chosen, not gathered, so that the gradient is no scatter: a loop over what the softmax has just gone over.
        """
        own = jnp.arange(rows.shape[1])[:, None] == jnp.clip(ids, 0, rows.shape[1] - 1)[:, None]
        return jnp.sum(jnp.where(own, rows, 0), axis=1)


def ignored(p: pb.LossParameter | pb.AccuracyParameter) -> int | None:
    """The label that does not count, if there is one."""
    return p.ignore_label if p.HasField("ignore_label") else None
