"""MS-CNN's DetectionLoss and DetectionAccuracy, for maps that predict the object in the field around each position
(Cai et al. 2016)."""

from dataclasses import dataclass
from math import log, sqrt

import jax
import jax.numpy as jnp
from jax.lax import stop_gradient

from engine.layers.base import Array, Arrays, Context, Layer, Shape
from engine.layers.box_regression import normalization
from engine.layers.classification_loss import LOG_FLT_MIN
from engine.layers.loss import Loss, floored, ignored
from engine.layers.registry import layer
from engine.ops.region_boxes import of_maps, overlap
from engine.ops.yolo_boxes import corners
from engine.proto import caffe_pb2 as pb

COORDINATES = 4
LEAST_SIDE = 2.0
"""The smallest side of a box, in pixels, when the target is the logarithm of a side."""


@dataclass(frozen=True)
class Truth:
    """The contents of labels (N, 6, H, W): the class (N, H, W), 0 for background; the centre and size of the object
    (N, 4, H, W), in pixels; its overlap with the field (N, H, W). counts: where the class is not ignored. boxed: where
    the box counts, that is, the class is neither background nor ignored. With `objectness`, counts tests the class
    reduced to 0 or 1, and boxed the original class, as in the fork."""

    kind: Array
    boxes: Array
    overlaps: Array
    counts: Array
    boxed: Array


class _Fields(Layer):
    """The base of layers for maps (N, cls_num + 4, H, W) of scores and boxes. The boxes are relative to fields of
    field_w × field_h pixels, which are downsample_rate pixels apart."""

    def read_fields(
        self, p: pb.DetectionLossParameter | pb.DetectionAccuracyParameter, x: Shape, labels: Shape
    ) -> None:
        """Stores the settings of the maps and fields. Raises LayerError if the bottoms do not fit them."""
        if p.coord_num != COORDINATES or p.cls_num < 2 or (p.objectness and p.cls_num != 2):
            raise self.error(
                f"coord_num is {p.coord_num} and cls_num {p.cls_num}; coord_num must be 4, and cls_num 2 or more, or "
                "2 with objectness."
            )
        channels = p.cls_num + COORDINATES
        if len(x) != 4 or x[1] != channels or labels != (x[0], 2 + COORDINATES, *x[2:]) or 0 in x[2:]:
            raise self.error(
                f"{self.bottom(0)} has shape {list(x)} and {self.bottom(1)} {list(labels)}; they must be (N, "
                f"{channels}, H, W), cls_num + 4 channels, and (N, 6, H, W)."
            )
        if not (p.field_h and p.field_w and p.downsample_rate) or p.field_whr <= 0 or p.field_xyr <= 0:
            raise self.error("field_h, field_w and downsample_rate must be 1 or more, field_whr and field_xyr above 0.")
        self.classes, self.objectness, self.background = p.cls_num, p.objectness, p.bg_threshold
        self.field, self.rate = (p.field_w, p.field_h), p.downsample_rate
        self.widest, self.farthest = p.field_whr, p.field_xyr
        self.ignore = ignored(self.config.loss_param)
        self.mean, self.std = normalization(self)

    def truth(self, labels: Array) -> Truth:
        """The contents of the second bottom."""
        labels = stop_gradient(labels)
        kind = labels[:, 0].astype(jnp.int32)
        judged = jnp.minimum(kind, 1) if self.objectness else kind
        counts, boxed = jnp.ones(kind.shape, bool), kind != 0
        if self.ignore is not None:
            counts, boxed = judged != self.ignore, boxed & (kind != self.ignore)
        return Truth(judged, labels[:, 1:5], labels[:, 5], counts, boxed)

    def column(self, values: tuple[float, ...], x: Array) -> Array:
        """Values for x, y, width and height in a shape that broadcasts against maps (N, 4, H, W)."""
        return jnp.asarray(values, x.dtype)[:, None, None]


@layer("DetectionLoss", when=lambda config: config.detection_loss_param.HasField("cls_num"))
class FieldDetectionLoss(_Fields, Loss):
    """The softmax loss of the scores plus lambda times that of the boxes, smooth L1 or, without bb_smooth, squares.

    Background positions count if they overlap objects by less than bg_threshold and are selected. sample_mode "random"
    draws bg_multiple times as many as there are object positions, with replacement; "bootstrap" selects, for each
    class, bg_multiple times as many as its positions, those with the highest scores for it; "mixture" takes half from
    each; any other mode selects all. With iou_weighted, an object is weighted by its overlap; with pos_neg_weighted,
    all objects together have 1 / (1 + bg_multiple) of the total weight. Boxes are clipped to what field_xyr and
    field_whr allow; the gradient passes through the clipping.
    Bottoms: x (N, cls_num + 4, H, W); labels (N, 6, H, W): class, centre, size, overlap. Top (1, 1, 1, 2): the loss,
    which alone has a gradient, and the part of it that comes from the boxes.
    """

    def setup(self, x: Shape, labels: Shape) -> list[Shape]:
        p = self.config.detection_loss_param
        self.read_fields(p, x, labels)
        self.weight, self.smooth = getattr(p, "lambda"), p.bb_smooth
        self.mode = p.sample_mode
        self.multiple = p.bg_multiple * (0.5 if self.mode == "mixture" else 1)
        self.share = 1 / (1 + p.bg_multiple)
        self.least = 4 * (self.classes - 1)
        self.most = max(self.least, int(x[2] * x[3] * self.multiple))
        if self.mode in ("random", "bootstrap", "mixture"):
            self.check_size(f"the background drawn for bg_multiple {p.bg_multiple}", (x[0], self.most))
        self.by_overlap, self.balanced = p.iou_weighted, p.pos_neg_weighted
        return [(1, 1, 1, 2)]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        x = bottoms[0]
        truth = self.truth(bottoms[1])
        scores, boxes = x[:, : self.classes], x[:, self.classes :]
        key = ctx.key if self.mode in ("random", "mixture") else None
        selected = self._kept(stop_gradient(scores), truth, key)
        of_scores = self._of_scores(scores, truth, selected)
        of_boxes = self.weight * self._of_boxes(boxes, truth)
        return [jnp.stack([of_scores + of_boxes, stop_gradient(of_boxes)]).reshape(1, 1, 1, 2)]

    def _kept(self, scores: Array, truth: Truth, key: Array | None) -> Array:
        """The background positions (N, H, W) that are selected."""
        may = ((truth.kind == 0) & (truth.overlaps < self.background)).reshape(len(scores), -1)
        kinds = truth.kind.reshape(may.shape)
        selected = jnp.zeros_like(may)
        if key is not None:
            number = jnp.maximum((jnp.sum(kinds != 0, 1) * self.multiple).astype(jnp.int32), self.least)
            selected |= may & _drawn(key, number, may.shape[1], self.most)
        if self.mode in ("bootstrap", "mixture"):
            rows = scores.reshape(*scores.shape[:2], -1)
            for kind in range(1, self.classes):
                number = (jnp.sum(kinds == kind, 1) * self.multiple).astype(jnp.int32)
                selected |= may & (_ranks(rows[:, kind], may) < jnp.maximum(number, 4)[:, None])
        elif key is None:
            selected = may
        return selected.reshape(truth.kind.shape)

    def _of_scores(self, scores: Array, truth: Truth, selected: Array) -> Array:
        counts = truth.counts & ((truth.kind != 0) | selected)
        chances = floored(jax.nn.log_softmax(scores, axis=1), LOG_FLT_MIN)
        own = jnp.arange(self.classes)[:, None, None] == truth.kind[:, None]
        losses = -jnp.sum(jnp.where(own, chances, 0), 1) * self._weights(truth, selected)
        total = jnp.sum(jnp.where(counts, losses, 0)) / jnp.maximum(jnp.sum(counts), 1)
        valid = (truth.kind >= 0) & (truth.kind < self.classes)  # for others, the fork reads beyond the scores
        return jnp.where(jnp.any(counts & ~valid), jnp.nan, total)

    def _weights(self, truth: Truth, selected: Array) -> Array:
        foreground = truth.kind != 0
        weights = jnp.where(foreground, truth.overlaps, 1.0) if self.by_overlap else jnp.ones_like(truth.overlaps)
        if not self.balanced:
            return weights
        objects, others = (jnp.sum(jnp.where(which, weights, 0)) for which in (foreground, selected))
        number = jnp.sum(foreground | selected)
        parts = (self.share, objects), (1 - self.share, others)
        factors = (part * number / jnp.where(total == 0, 1, total) for part, total in parts)
        of_objects, of_others = (jnp.where(objects == 0, 1, factor) for factor in factors)
        return weights * jnp.where(foreground, of_objects, of_others)

    def _of_boxes(self, moves: Array, truth: Truth) -> Array:
        counts = truth.boxed[:, None]
        targets = self._encoded(truth.boxes)
        (low_xy, high_xy), (low_wh, high_wh) = self._bounds()
        bounded = jnp.clip(
            moves,
            self.column((low_xy, low_xy, low_wh, low_wh), moves),
            self.column((high_xy, high_xy, high_wh, high_wh), moves),
        )
        off = moves + stop_gradient(bounded - moves) - targets
        far = jnp.abs(off)
        losses = jnp.where(far < 1, off * off / 2, far - 0.5) if self.smooth else off * off / 2
        return jnp.sum(jnp.where(counts, losses, 0)) / jnp.maximum(COORDINATES * jnp.sum(counts), 1)

    def _encoded(self, boxes: Array) -> Array:
        """The target values (N, 4, H, W) of the maps at each position, for boxes (N, 4, H, W)."""
        size = jnp.asarray(self.field, boxes.dtype)[:, None, None]
        height, width = boxes.shape[-2:]
        across, down = jnp.meshgrid(*((jnp.arange(n, dtype=boxes.dtype) + 0.5) * self.rate for n in (width, height)))
        centre = (boxes[:, :2] - jnp.stack([across, down])) / size
        sides = jnp.log(jnp.maximum(boxes[:, 2:], LEAST_SIDE) / size)
        values = jnp.concatenate([centre, sides], 1)
        return (values - self.column(self.mean, boxes)) / self.column(self.std, boxes)

    def _bounds(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """The lower and upper bounds of centre and of side values, from the averaged means and standard deviations."""
        most = 1 / self.farthest, log(self.widest)
        mean = [(a + b) / 2 for a, b in (self.mean[:2], self.mean[2:])]
        std = [sqrt(a * b) for a, b in (self.std[:2], self.std[2:])]
        low_xy, low_wh = ((-m - c) / s for m, c, s in zip(most, mean, std, strict=True))
        high_xy, high_wh = ((m - c) / s for m, c, s in zip(most, mean, std, strict=True))
        return (low_xy, high_xy), (low_wh, high_wh)


def _drawn(key: Array, numbers: Array, places: int, most: int) -> Array:
    """(N, places): which places are hit by `numbers` (N) draws with replacement, at most `most` of them."""
    draws = jax.random.randint(key, (len(numbers), most), 0, places)
    draws = jnp.sort(jnp.where(jnp.arange(most) < numbers[:, None], draws, places), 1)
    at = jax.vmap(lambda row: jnp.searchsorted(row, jnp.arange(places)))(draws)
    return jnp.take_along_axis(draws, jnp.minimum(at, most - 1), 1) == jnp.arange(places)


def _ranks(scores: Array, may: Array) -> Array:
    """(N, P): each position's rank among those that may be chosen, by descending score, the last of equals first."""
    order = jnp.argsort(jnp.flip(jnp.where(may, -scores, jnp.inf), 1), axis=1, stable=True)
    return jnp.flip(jnp.argsort(order, axis=1), 1)


@layer("DetectionAccuracy")
class DetectionAccuracy(_Fields):
    """The share of positions with their class among the top_k scores, of all and of objects only; −1 if there are none.

    Background that overlaps objects by bg_threshold or more does not count. Bottoms: as for DetectionLoss. Tops:
    (1, 1, 1, 2); and (1, 1, 1, 1): the mean overlap of boxes with their objects. No gradient.
    """

    bottoms = (2, 2)
    tops = (1, 2)

    def setup(self, x: Shape, labels: Shape) -> list[Shape]:
        p = self.config.detection_accuracy_param
        self.read_fields(p, x, labels)
        if not 1 <= p.top_k <= p.cls_num:
            raise self.error(f"top_k {p.top_k} is not 1 to {p.cls_num}, the number of classes.")
        self.top_k = p.top_k
        tops: list[Shape] = [(1, 1, 1, 2), (1, 1, 1, 1)]
        return tops[: len(self.config.top)]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        x = stop_gradient(bottoms[0])
        truth = self.truth(bottoms[1])
        scores, moves = x[:, : self.classes], x[:, self.classes :]
        foreground = truth.counts & (truth.kind != 0)
        counts = foreground | (truth.counts & (truth.overlaps < self.background))
        right = self._right(scores, truth.kind)
        moves = moves * self.column(self.std, x) + self.column(self.mean, x)
        placed = of_maps(moves, jnp.asarray(self.field, x.dtype), self.rate, self.farthest, self.widest)
        common = overlap("IOU", 0)(corners(placed), corners(jnp.moveaxis(truth.boxes, 1, -1)))
        figures = [_mean(right, counts), _mean(right, foreground)]
        return [jnp.stack(figures).reshape(1, 1, 1, 2), _mean(common, truth.boxed).reshape(1, 1, 1, 1)][
            : len(self.top_shapes)
        ]

    def propagates_to(self, bottom: int) -> bool:
        return False

    def _right(self, scores: Array, kind: Array) -> Array:
        """Where fewer than top_k classes rank above the true one; among equal scores, the later class ranks higher."""
        classes = jnp.arange(self.classes)[:, None, None]
        own = jnp.sum(jnp.where(classes == kind[:, None], scores, 0), 1, keepdims=True)
        before = (scores > own) | ((scores == own) & (classes > kind[:, None]))
        valid = (kind >= 0) & (kind < self.classes)
        return valid & (jnp.sum(before, 1) < self.top_k)


def _mean(values: Array, counts: Array) -> Array:
    number = jnp.sum(counts)
    return jnp.where(number > 0, jnp.sum(jnp.where(counts, values, 0)) / jnp.maximum(number, 1), -1)
