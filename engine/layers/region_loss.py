"""RegionLoss: the loss of YOLO v2 (Redmon and Farhadi 2017)."""

import logging

import jax
import jax.numpy as jnp
import numpy as np
from jax.lax import stop_gradient

from engine.layers.base import Array, Arrays, Context, Shape, count
from engine.layers.loss import Loss
from engine.layers.registry import layer
from engine.ops.replaced_gradient import with_gradient_of
from engine.ops.yolo_boxes import centred, nearest, of_grid, offsets, overlap

log = logging.getLogger(__name__)


@layer("RegionLoss")
class RegionLoss(Loss):
    """Σ δ² / N, where the gradient of x is δ / N, the weighted errors of the predictions (MobileNet-YOLO).

    Each cell of an S × S grid predicts, for each of `num` anchors (`biases`: widths and heights in cells), an offset x,
    y, w, h, a confidence and `num_class` scores. The prediction responsible for a ground-truth box is the one in the
    cell of its centre whose anchor (without `bias_match`, whose predicted box) fits it best. δ of its box is weighted
    by coord_scale, without `rescore` also by 2 − w h; that of its confidence by object_scale, with the overlap with the
    box as the target, or 1 without `rescore`; that of its classes by class_scale. If a prediction is responsible for
    several boxes, the last counts. All other confidences are drawn towards 0, weighted by noobject_scale, unless their
    box overlaps a ground-truth box by more than `thresh`.
    Bottoms: x (N, num · (5 + num_class), S, S); boxes (N, T · 5): class, x, y, w, h; the first box with x or w = 0 ends
    the list.
    """

    def setup(self, x: Shape, labels: Shape) -> list[Shape]:
        p = self.config.region_loss_param
        self.check_items(x, labels)
        if not p.num or 0 < len(p.biases) < 2 * p.num:
            raise self.error(f"it has {len(p.biases)} biases; give a width and a height for each of num: {p.num}.")
        if p.coords != 4:
            raise self.error(f"coords is {p.coords}; it must be 4.")
        channels = p.num * (5 + p.num_class)
        if len(x) != 4 or x[1] != channels or x[2] != x[3] or not x[3]:
            raise self.error(
                f"{self.bottom(0)} has shape {list(x)}; it must be (N, {channels}, S, S), num · (5 + num_class) "
                "channels."
            )
        if count(labels[1:]) % 5:
            raise self.error(f"{self.bottom(1)} of shape {list(labels)} must hold 5 values per box: class, x, y, w, h.")
        if not p.biases:
            log.warning("%s: without biases, all anchors have size 0 and boxes an infinite loss.", self.node.shown)
        self.anchors = np.array(p.biases[: 2 * p.num] or [0] * 2 * p.num, np.float32).reshape(-1, 2)
        self.classes, self.side = p.num_class, x[3]
        self.bias_match, self.rescore, self.thresh = bool(p.bias_match), bool(p.rescore), p.thresh
        self.object, self.no_object = p.object_scale, p.noobject_scale
        self.class_, self.coord = p.class_scale, p.coord_scale
        return [()]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        x, labels = bottoms
        predicted = stop_gradient(x).reshape(x.shape[0], len(self.anchors), 5 + self.classes, self.side, self.side)
        boxes = stop_gradient(labels).reshape(x.shape[0], count(labels.shape[1:]) // 5, 5)
        delta = jax.vmap(self._delta)(predicted, boxes).reshape(x.shape)
        items = max(1, x.shape[0])
        return [with_gradient_of(jnp.sum(jnp.square(delta)) / items, jnp.sum(x * delta) / items)]

    def _delta(self, x: Array, labels: Array) -> Array:
        """δ for the x (num, 5 + num_class, S, S) of one image, given its boxes (T, 5)."""
        at, sure = jnp.concatenate([jax.nn.sigmoid(x[:, :2]), x[:, 2:4]], 1), jax.nn.sigmoid(x[:, 4])
        size = self.side, self.side
        predicted = of_grid(at[None], jnp.asarray(self.anchors), size)[0]
        box_of = self._responsible_for(predicted, labels)
        kind, *box = jnp.moveaxis(labels[box_of], -1, 0)
        truth = jnp.stack(box, -1)
        target = jnp.where(nearest(predicted, labels) > self.thresh, sure, 0)
        object_target = overlap(predicted, truth) if self.rescore else 1
        toward = jnp.where(box_of >= 0, self.object * (sure - object_target), self.no_object * (sure - target))
        scale = self.coord * (jnp.ones_like(sure) if self.rescore else 2 - box[2] * box[3])
        slope = jnp.concatenate([at[:, :2] * (1 - at[:, :2]), jnp.ones_like(at[:, 2:])], 1)
        moved = scale[:, None] * (at - offsets(truth, jnp.asarray(self.anchors), size)) * slope
        own = jnp.arange(self.classes)[:, None, None] == kind.astype(jnp.int32)[:, None]
        classed = self.class_ * (jax.nn.softmax(x[:, 5:], axis=1) - own)
        responsible = (box_of >= 0)[:, None]
        confidence = (toward * sure * (1 - sure))[:, None]
        return jnp.concatenate([jnp.where(responsible, moved, 0), confidence, jnp.where(responsible, classed, 0)], 1)

    def _responsible_for(self, predicted: Array, labels: Array) -> Array:
        """The index of the box (T, 5) for which each prediction (num, S, S) is responsible, −1 for none."""
        listed = jnp.cumprod(labels[:, 3] != 0) > 0
        column, row = jnp.clip((labels[:, 1:3] * self.side).astype(jnp.int32), 0, self.side - 1).T
        sizes = jnp.asarray(self.anchors)[:, None] / self.side if self.bias_match else predicted[:, row, column, 2:]
        alike = overlap(centred(sizes), centred(labels[:, 3:]))
        numbers = jnp.where(listed, jnp.arange(len(labels)), -1)
        return jnp.full(predicted.shape[:3], -1).at[jnp.argmax(alike, axis=0), row, column].max(numbers)
