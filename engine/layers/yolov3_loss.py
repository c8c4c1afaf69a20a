"""Yolov3: the loss of one of the grids of YOLO v3 (Redmon and Farhadi 2018)."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.lax import stop_gradient

from engine.layers.base import Array, Arrays, Context, Shape, count
from engine.layers.loss import Loss
from engine.layers.registry import layer
from engine.ops.replaced_gradient import with_gradient_of
from engine.ops.yolo_boxes import centred, nearest, of_grid, offsets, overlap


@layer("Yolov3")
class Yolov3(Loss):
    """Σ δ² / N, where the gradient of x is δ / N, the weighted errors of the predictions (MobileNet-YOLO).

    Each cell of the grid predicts, for each anchor whose index is in `mask` (`biases`: the widths and heights of all
    anchors, in pixels; a cell has `anchors_scale` pixels), an offset x, y, w, h, a confidence and `num_class` scores;
    all but w and h go through a sigmoid. The predictions responsible for a ground-truth box are those in the cell of
    its centre whose anchor fits it best among all anchors, or overlaps it by more than `iou_thresh`. Their targets are
    the box, weighted by coord_scale · (2 − w h); its class, weighted by class_scale; and confidence 1. If one is
    responsible for several boxes, its box target is the last of them and its class targets are the classes of all.
    Class targets are label_smooth_eps / 2 instead of 0 and 1 − label_smooth_eps / 2 instead of 1. All other confidences
    are drawn towards 0, unless their box overlaps a ground-truth box by more than `thresh`. With use_logic_gradient,
    the confidences of responsible predictions are weighted by object_scale, and the gradient includes the slope of the
    sigmoid; without, it is that of a cross-entropy.
    When it excludes the best anchor from those that overlap enough, the fork compares indices in `mask` with indices
    among all anchors; so does this layer.
    Bottoms: x (N, num · (5 + num_class), H, W); boxes (N, T · 5): class, x, y, w, h; the first box with x or w = 0 ends
    the list.
    """

    def setup(self, x: Shape, labels: Shape) -> list[Shape]:
        p = self.config.yolov3_param
        self.check_items(x, labels)
        channels = p.num * (5 + p.num_class)
        if len(x) != 4 or x[1] != channels or not p.num or not all(x[2:]):
            raise self.error(
                f"{self.bottom(0)} has shape {list(x)}; it must be (N, {channels}, H, W), num · (5 + num_class) "
                "channels."
            )
        if count(labels[1:]) % 5:
            raise self.error(f"{self.bottom(1)} of shape {list(labels)} must hold 5 values per box: class, x, y, w, h.")
        if len(p.mask) < p.num or 2 * max(p.mask[: p.num], default=0) + 2 > len(p.biases):
            raise self.error(
                f"it has {len(p.mask)} mask and {len(p.biases)} biases; give num, {p.num}, indices of anchors in mask, "
                "and in biases a width and a height for each anchor up to the largest of them."
            )
        if p.iou_loss != p.MSE or p.use_focal_loss:
            raise self.error("only iou_loss: MSE without use_focal_loss is supported; delete these two fields.")
        self.biases = np.array(p.biases[: len(p.biases) // 2 * 2], np.float32).reshape(-1, 2)
        self.mask, self.classes, self.grid = np.array(p.mask[: p.num]), p.num_class, x[2:]
        self.size = float(x[3] * p.anchors_scale), float(x[2] * p.anchors_scale)
        self.thresh, self.alike, self.smooth = p.thresh, p.iou_thresh, p.label_smooth_eps
        self.logistic, self.object = p.use_logic_gradient, p.object_scale if p.use_logic_gradient else 1.0
        self.class_, self.coord = p.class_scale, p.coord_scale
        return [()]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        x, labels = bottoms
        raw = stop_gradient(x).reshape(x.shape[0], len(self.mask), 5 + self.classes, *self.grid)
        boxes = stop_gradient(labels).reshape(x.shape[0], count(labels.shape[1:]) // 5, 5)
        sure = jax.nn.sigmoid(raw)
        at = jnp.concatenate([sure[:, :, :2], raw[:, :, 2:4], sure[:, :, 4:]], 2)
        delta = jax.vmap(self._delta)(at, boxes)
        pull = delta
        if self.logistic:
            pull = delta * (sure * (1 - sure)).at[:, :, 2:4].set(1)
        items = max(1, x.shape[0])
        return [with_gradient_of(jnp.sum(jnp.square(delta)) / items, jnp.sum(x * pull.reshape(x.shape)) / items)]

    def _delta(self, at: Array, labels: Array) -> Array:
        """δ for the predictions `at` (num, 5 + num_class, H, W) of one image, given its boxes (T, 5)."""
        anchors = jnp.asarray(self.biases[self.mask])
        box, sure, classes = at[:, :4], at[:, 4], at[:, 5:]
        last, kinds = self._responsible_for(labels)
        responsible = last >= 0
        truth = jnp.where(responsible[..., None], labels[last, 1:], 1)
        scale = self.coord * (2 - truth[..., 2] * truth[..., 3])
        moved = scale[:, None] * (box - offsets(truth, anchors, self.size))
        free = nearest(of_grid(box[None], anchors, self.size)[0], labels) > self.thresh
        confidence = jnp.where(responsible, self.object * (sure - 1), jnp.where(free, 0, sure))
        classed = self.class_ * (classes - (kinds * (1 - self.smooth) + self.smooth / 2))
        counts = responsible[:, None]
        return jnp.concatenate([jnp.where(counts, moved, 0), confidence[:, None], jnp.where(counts, classed, 0)], 1)

    def _responsible_for(self, labels: Array) -> tuple[Array, Array]:
        """Returns, for each prediction, the index of the last of the boxes (T, 5) for which it is responsible
        (num, H, W), −1 for none; and which classes those boxes have (num, num_class, H, W)."""
        rows, columns = self.grid
        listed = jnp.cumprod(labels[:, 3] != 0) > 0
        column, row = (
            jnp.clip((labels[:, i] * n).astype(jnp.int32), 0, n - 1)[:, None] for i, n in ((1, columns), (2, rows))
        )
        alike = overlap(centred(jnp.asarray(self.biases) / jnp.asarray(self.size)), centred(labels[:, None, 3:]))
        best = jnp.where(jnp.max(alike, -1) > 0, jnp.argmax(alike, -1), -1)[:, None]
        own = best == self.mask
        number = jnp.where(jnp.any(own, -1), jnp.argmax(own, -1), best[:, 0])[:, None]
        others = (alike[:, self.mask] > self.alike) & (self.mask != number) & (self.alike < 1)
        responsible = listed[:, None] & (own | others)  # (T, num)
        anchor = jnp.arange(len(self.mask))
        numbers = jnp.where(responsible, jnp.arange(len(labels))[:, None], -1)
        last = jnp.full((len(self.mask), rows, columns), -1).at[anchor, row, column].max(numbers)
        kinds = jnp.zeros((len(self.mask), self.classes, rows, columns), labels.dtype)
        kind = jnp.where(responsible, labels[:, :1].astype(jnp.int32), self.classes)
        return last, kinds.at[anchor, kind, row, column].set(1, mode="drop", wrap_negative_indices=False)
