"""What losses share: normalisation, and predictions paired with labels."""

from functools import partial
from typing import ClassVar

import jax
import jax.numpy as jnp

from engine.data.label_bounds import LabelBounds
from engine.graph import predictions
from engine.layers.base import Array, Layer, Shape
from engine.proto import caffe_pb2 as pb

LOG_THRESHOLD = 1e-20
"""Caffe's lower bound for a probability before its logarithm is taken, in losses older than SoftmaxWithLoss."""


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def floored(y: Array, least: float) -> Array:
    """max(y, least) with the gradient of y: Caffe's floors keep the value finite but do not change the gradient."""
    return jnp.maximum(y, least)


@floored.defjvp
def _floored_jvp(least: float, primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    return floored(primals[0], least), tangents[0]


@jax.custom_jvp
def no_minus_zero(y: Array) -> Array:
    """y with −0 replaced by 0, and the gradient of y: −Σ can give −0, where Caffe, which subtracts from 0, gives 0."""
    return jnp.where(y == 0, 0, y)


@no_minus_zero.defjvp
def _no_minus_zero_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    return no_minus_zero(primals[0]), tangents[0]


Mode = pb.LossParameter.NormalizationMode


def normalization(p: pb.LossParameter, default: Mode = pb.LossParameter.VALID) -> Mode:
    """How a loss is normalised. Without `normalization`, the older `normalize` selects VALID or BATCH_SIZE."""
    if p.HasField("normalization"):
        return p.normalization
    if p.HasField("normalize"):
        return p.VALID if p.normalize else p.BATCH_SIZE
    return default


def normalizer(mode: Mode, batch: int, full: int, valid: Array | int, fixed: float = 1) -> Array:
    """The divisor of a loss: the count of all predictions (FULL) or of those not ignored (VALID), the batch size, 1
    (NONE), or `fixed`, which is loss_param's pre_fixed_normalizer (PRE_FIXED).

    At least 1, so that a batch with no valid label has loss 0.
    """
    p = pb.LossParameter
    n = {p.FULL: full, p.VALID: valid, p.BATCH_SIZE: batch, p.NONE: 1, p.PRE_FIXED: fixed}[mode]
    return jnp.maximum(jnp.asarray(n, jnp.float32), 1)


class Loss(Layer):
    """The base of the losses. The first bottom is compared with the others; the first top is a scalar."""

    loss = True
    bottoms = (2, 2)
    targets: ClassVar[tuple[int, ...]] = ()
    """The bottoms that may come straight from the data and may hold any finite number."""

    def label_bounds(self) -> dict[int, LabelBounds]:
        return {bottom: LabelBounds(None, layer=self.node.shown) for bottom in self.targets}

    def check_items(self, *bottoms: Shape) -> None:
        """Raises LayerError if a bottom has a different number of items from the first."""
        predictions.same_items(self.node, bottoms)

    def check_pair(self, a: Shape, b: Shape) -> None:
        """Raises LayerError if the first two bottoms differ in their number of items or of values."""
        predictions.pair(self.node, a, b)


class Labelled(Layer):
    """Predictions x with classes along one axis, and one label for each index of the other axes.

    Bottoms: x (d0, …, C, …, dn); d0 · … · dn labels, C excluded from the product.
    """

    bottoms = (2, 2)
    ignored_by: ClassVar[str] = ""
    """The configuration block that holds ignore_label; "" if the type has none."""

    def match(self, x: Shape, labels: Shape, axis: int, ignore: int | None = None) -> None:
        """Stores the axis of the classes. Raises LayerError unless there is one label per prediction."""
        self.axis, self.outer, self.classes, self.inner = predictions.classes(self.node, x, labels, axis)
        self.ignore = ignore

    def label_bounds(self) -> dict[int, LabelBounds]:
        return {1: LabelBounds(self.classes, self.ignore, self.node.shown, self.ignored_by)}

    def aligned(self, x: Array, labels: Array) -> tuple[Array, Array, Array]:
        """Returns x as (outer, C, inner), integer labels as (outer, inner), and which labels are not ignored."""
        rows = x.reshape(self.outer, self.classes, self.inner)
        ids = labels.reshape(self.outer, self.inner).astype(jnp.int32)
        valid = jnp.ones(ids.shape, bool) if self.ignore is None else ids != self.ignore
        return rows, ids, valid

    def of_label(self, rows: Array, ids: Array) -> Array:
        """Selects the value at each prediction's label: (outer, C, inner) → (outer, inner).

        Uses a mask and a sum instead of a gather, whose gradient would be a scatter. The extra loop only goes over
        values that the softmax has just read.
        """
        own = jnp.arange(rows.shape[1])[:, None] == jnp.clip(ids, 0, rows.shape[1] - 1)[:, None]
        return jnp.sum(jnp.where(own, rows, 0), axis=1)


def ignored(p: pb.LossParameter | pb.AccuracyParameter) -> int | None:
    """The label to ignore, or None."""
    return p.ignore_label if p.HasField("ignore_label") else None
