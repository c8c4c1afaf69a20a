"""YOLO v1's DetectionLoss and EvalDetection, for predictions on a grid of cells (Redmon et al. 2016)."""

from collections.abc import Callable
from functools import cached_property

import jax
import jax.numpy as jnp
import numpy as np
from jax.lax import stop_gradient

from engine.layers.base import Array, Arrays, Context, Layer, Shape, count
from engine.layers.loss import Loss
from engine.layers.registry import layer
from engine.ops.boxes import suppress
from engine.ops.replaced_gradient import with_gradient_of
from engine.ops.yolo_boxes import corners, of_region, overlap
from engine.proto import caffe_pb2 as pb

LEAST_SCORE = 0.005
"""The smallest score that counts as a prediction in EvalDetection of YOLO v2, as in Darknet."""

FAR = 20.0
"""If all boxes are at least this distance away, the first one is taken as the nearest, as in the fork."""


class Grid:
    """The layout of predictions and labels: `side`² cells, each with `objects` boxes and `classes` scores."""

    def __init__(self, p: pb.DetectionLossParameter | pb.EvalDetectionParameter) -> None:
        self.side, self.classes, self.objects = p.side, p.num_class, p.num_object
        self.sqrt, self.relative = p.sqrt, p.constriant

    @cached_property
    def corner(self) -> np.ndarray:
        """(side², 2): the column and row of each cell."""
        steps = np.arange(self.side**2)
        return np.stack([steps % self.side, steps // self.side], -1).astype(np.float32)

    def check(self, layer: Layer, x: Shape, labels: Shape) -> None:
        """Raises LayerError if the bottoms do not have the sizes that the configuration gives."""
        places = self.side**2
        for i, (shape, needed, what) in enumerate(
            (
                (x, places * (self.classes + 5 * self.objects), "side² · (num_class + 5 · num_object)"),
                (labels, places * 7, "side² · 7"),
            )
        ):
            if not places or not self.objects or not shape or shape[0] != x[0] or count(shape[1:]) != needed:
                raise layer.error(
                    f"{layer.bottom(i)} has shape {list(shape)}; it must have {needed} values per item, {what}, and "
                    "as many items as the other."
                )

    def predictions(self, x: Array) -> tuple[Array, Array, Array]:
        """Splits x (N, …) into scores (N, P, C), confidences (N, P, B) and encoded boxes (N, P, B, 4)."""
        places = self.side**2
        rows = jnp.moveaxis(x.reshape(x.shape[0], count(x.shape[1:]) // places, places), 1, 2)
        scores, sure, boxes = jnp.split(rows, [self.classes, self.classes + self.objects], axis=2)
        return scores, sure, boxes.reshape(*sure.shape, 4)

    def joined(self, scores: Array, sure: Array, boxes: Array) -> Array:
        """The inverse of `predictions`: one row per item (N, …)."""
        rows = jnp.concatenate([scores, sure, boxes.reshape(*sure.shape[:2], 4 * self.objects)], 2)
        return jnp.moveaxis(rows, 2, 1).reshape(len(rows), count(rows.shape[1:]))

    def labels(self, labels: Array) -> tuple[Array, Array, Array, Array]:
        """Splits labels (N, …): which boxes are difficult, which exist, their classes, all (N, P); boxes (N, P, 4)."""
        difficult, exist, kind, boxes = jnp.split(
            labels.reshape(len(labels), count(labels.shape[1:])), [n * self.side**2 for n in (1, 2, 3)], axis=1
        )
        return difficult == 1, exist != 0, kind.astype(jnp.int32), boxes.reshape(*kind.shape, 4)

    def decoded(self, boxes: Array) -> Array:
        """Decodes predicted boxes (N, P, B, 4) to x, y, w, h as fractions of the image."""
        centre, size = boxes[..., :2], boxes[..., 2:]
        centre = (centre + self.corner[:, None]) / self.side if self.relative else centre
        return jnp.concatenate([centre, jnp.square(size) if self.sqrt else size], -1)

    def encoded(self, boxes: Array) -> Array:
        """Encodes boxes (N, P, 4) as the predictions that each cell should make."""
        centre, size = boxes[..., :2], boxes[..., 2:]
        centre = centre * self.side - self.corner if self.relative else centre
        return jnp.concatenate([centre, jnp.sqrt(size) if self.sqrt else size], -1)


@layer("DetectionLoss")
class DetectionLoss(Loss):
    """The weighted sum of mean squared errors of boxes, confidences and scores (YOLO v1); the gradient is the fork's.

    In a cell with a ground-truth box, the responsible prediction is the one that overlaps it most or, if none overlaps
    it, the nearest. Its box is weighted by coord_scale (with `sqrt`, width and height are square roots; with
    `constriant`, the centre is relative to the cell), its confidence by object_scale, and the scores of the cell by
    class_scale. All other confidences are drawn towards 0, weighted by noobject_scale.
    The gradient is δ / N, where δ is the error times its scale. In it, the target of a responsible confidence is the
    overlap; in the loss, it is 1.
    Bottoms: x (N, S² · (num_class + 5 · num_object)), each value for all cells in turn; labels (N, S² · 7): difficult,
    whether there is a box, and class, each for all cells in turn, then x, y, w, h of each cell.
    """

    def setup(self, x: Shape, labels: Shape) -> list[Shape]:
        p = self.config.detection_loss_param
        self.grid = Grid(p)
        self.grid.check(self, x, labels)
        self.object, self.no_object = p.object_scale, p.noobject_scale
        self.class_, self.coord = p.class_scale, p.coord_scale
        return [()]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        x = bottoms[0]
        scores, sure, boxes = self.grid.predictions(stop_gradient(x))
        _, exist, kind, truth = self.grid.labels(stop_gradient(bottoms[1]))
        responsible, common = self._responsible(self.grid.decoded(boxes), truth)
        responsible = responsible & exist[..., None]
        classed = jnp.where(exist[..., None], scores - jax.nn.one_hot(kind, self.grid.classes), 0)
        moved = jnp.where(responsible[..., None], boxes - self.grid.encoded(truth)[..., None, :], 0)
        rescored = jnp.where(responsible, self.object * (sure - common[..., None]), self.no_object * sure)
        delta = self.grid.joined(self.class_ * classed, rescored, self.coord * moved)
        number = jnp.sum(exist)
        of_boxes = self.class_ * jnp.sum(jnp.square(classed)) + self.coord * jnp.sum(jnp.square(moved))
        of_boxes += self.object * jnp.sum(jnp.where(responsible, jnp.square(sure - 1), 0))
        of_others = self.no_object * jnp.sum(jnp.where(responsible, 0, jnp.square(sure)))
        loss = of_boxes / jnp.maximum(number, 1) + of_others / jnp.maximum(sure.size - number, 1)
        return [with_gradient_of(loss, jnp.sum(x.reshape(delta.shape) * delta) / max(1, x.shape[0]))]

    def _responsible(self, predicted: Array, truth: Array) -> tuple[Array, Array]:
        """Which of the predictions (N, P, B, 4) is responsible for each box (N, P, 4), and their overlap (N, P)."""
        common = overlap(predicted, truth[..., None, :])
        apart = jnp.sqrt(jnp.sum(jnp.square(predicted - truth[..., None, :]), -1))
        best = jnp.max(common, -1)
        nearest = jnp.where(jnp.min(apart, -1) < FAR, jnp.argmin(apart, -1), 0)
        chosen = jnp.where(best > 0, jnp.argmax(common, -1), nearest)
        return jax.nn.one_hot(chosen, common.shape[-1], dtype=bool), best


@layer("EvalDetection")
class EvalDetection(Layer):
    """Which predictions of YOLO v1 are correct; mean average precision can be computed from it.

    A prediction is a true positive if it overlaps a box of its class by `threshold` or more and is the best to do so;
    on a difficult box, it is neither a true nor a false positive. With `nms` of 0 or more, predictions that overlap a
    better one by at least that are discarded first. The score is the confidence (OBJ), the class score (PROB), or their
    product (MULTIPLY).
    Bottoms: as for DetectionLoss. Top: (N, num_class + S² · num_object · 4): the number of boxes of each class that are
    not difficult; then for each prediction, by class and descending score: class, score, true positive, false positive.
    A third bottom, the image, which Intel's fork requires, is ignored.
    """

    bottoms = (2, 3)

    def setup(self, x: Shape, labels: Shape, *picture: Shape) -> list[Shape]:
        p = self.config.eval_detection_param
        self.grid, self.classes = Grid(p), p.num_class
        self.grid.check(self, x, labels)
        self.threshold, self.nms, self.kind = p.threshold, p.nms, p.score_type
        return [(x[0], p.num_class + p.side**2 * p.num_object * 4)]

    def propagates_to(self, bottom: int) -> bool:
        return False

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        x, labels = map(stop_gradient, bottoms[:2])
        scores, sure, boxes = self.grid.predictions(x)
        return [jax.vmap(self._judged)(scores, sure, self.grid.decoded(boxes), *self.grid.labels(labels))]

    def _judged(
        self, scores: Array, sure: Array, boxes: Array, difficult: Array, exist: Array, kinds: Array, truth: Array
    ) -> Array:
        """One item's row of the top."""
        best = jnp.broadcast_to(jnp.max(scores, -1)[:, None], sure.shape)
        kind = jnp.repeat(jnp.argmax(scores, -1), self.grid.objects)
        score, kind, predicted, kept = self.ranked(_SCORE[self.kind](sure, best).ravel(), kind, boxes.reshape(-1, 4))
        hits, box, first = self.matched(kind, predicted, kept, exist & (kinds == kind[:, None]), truth)
        counts = hits & ~difficult[box]
        right, wrong = counts & first, (counts & ~first) | (kept & ~hits)
        rows = jnp.where(kept[:, None], jnp.stack([kind, score, right, wrong], -1), 0)
        of_class = jnp.zeros(self.classes).at[kinds].add(exist & ~difficult)
        return jnp.concatenate([of_class, rows.ravel()])

    def ranked(self, score: Array, kind: Array, predicted: Array) -> tuple[Array, Array, Array, Array]:
        """Sorts predictions (K) by class and descending score, discarded ones last; also returns which are kept."""
        order = jnp.argsort(-score)
        score, kind, predicted = score[order], kind[order], predicted[order]
        kept = jnp.ones(score.shape, bool)
        if self.nms >= 0:
            below = float(np.nextafter(np.float32(self.nms), np.float32(-1)))
            kept = suppress(corners(predicted)[None], kept[None], below)[0]
        order = jnp.argsort(jnp.where(kept, kind, self.classes))
        return score[order], kind[order], predicted[order], kept[order]

    def matched(
        self, kind: Array, predicted: Array, kept: Array, own: Array, truth: Array
    ) -> tuple[Array, Array, Array]:
        """Returns which predictions (K) hit one of the boxes (T, 4), where `own` (K, T) marks the boxes of their class;
        which box they hit; and which of them are the best on their box."""
        common = jnp.where(own, overlap(predicted[:, None], truth), -1)
        box = jnp.argmax(common, -1)
        hits = jnp.any(own, -1) & (jnp.max(common, -1) >= self.threshold) & kept
        ranks = jnp.where(hits, jnp.arange(len(kind)), len(kind))
        return hits, box, jnp.full(len(truth), len(kind)).at[box].min(ranks)[box] == ranks


_SCORE: dict[int, Callable[[Array, Array], Array]] = {
    pb.EvalDetectionParameter.OBJ: lambda sure, best: sure,
    pb.EvalDetectionParameter.PROB: lambda sure, best: best,
    pb.EvalDetectionParameter.MULTIPLY: lambda sure, best: sure * best,
}


@layer("EvalDetection", when=lambda c: len(c.eval_detection_param.biases) > 0)
class RegionEvalDetection(EvalDetection):
    """Which predictions of YOLO v2 are correct: EvalDetection for v2 (gklz1982/caffe-yolov2).

    Predictions with a score below 0.005 are discarded, and so are all if `nms` is below 0. One that overlaps a box of
    its class by less than `threshold` is neither a true nor a false positive, as in the fork. `biases`: the widths and
    heights of the anchors, in cells.
    Bottoms: x (N, num_object · (5 + num_class), S, S); boxes (N, T · 5): class, x, y, w, h; the first box with x = 0
    ends the list. Top: as for EvalDetection.
    """

    def setup(self, x: Shape, labels: Shape, *picture: Shape) -> list[Shape]:
        p = self.config.eval_detection_param
        self.classes, channels = p.num_class, p.num_object * (5 + p.num_class)
        if x[1:] != (channels, p.side, p.side) or not count(x[1:]):
            raise self.error(f"{self.bottom(0)} has shape {list(x)}; it must be (N, {channels}, {p.side}, {p.side}).")
        if labels[:1] != x[:1] or count(labels[1:]) % 5:
            raise self.error(f"{self.bottom(1)} of shape {list(labels)} must hold 5 values per box: class, x, y, w, h.")
        if len(p.biases) < 2 * p.num_object:
            raise self.error(f"it has {len(p.biases)} biases; give a width and a height for each of {p.num_object}.")
        self.anchors = np.array(p.biases[: 2 * p.num_object], np.float32).reshape(-1, 2)
        self.threshold, self.nms, self.kind = p.threshold, p.nms, p.score_type
        return [(x[0], p.num_class + p.side**2 * p.num_object * 4)]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        x, labels = map(stop_gradient, bottoms[:2])
        boxes, confidences, classes = of_region(x, jnp.asarray(self.anchors))
        return [jax.vmap(self._region)(boxes, confidences, classes, labels.reshape(len(x), -1, 5))]

    def _region(self, boxes: Array, sure: Array, scores: Array, labels: Array) -> Array:
        kind = jnp.argmax(scores, -1)
        score, kind, predicted, kept = self.ranked(_SCORE[self.kind](sure, jnp.max(scores, -1)), kind, boxes)
        kept = kept & (score >= LEAST_SCORE) & (self.nms >= 0)
        exist = jnp.cumprod(labels[:, 1] != 0) > 0
        kinds = labels[:, 0].astype(jnp.int32)
        own = exist & (kinds == kind[:, None])
        hits, _, first = self.matched(kind, predicted, kept, own, labels[:, 1:])
        right, wrong = hits & first, (hits & ~first) | (kept & ~jnp.any(own, -1))
        rows = jnp.where(kept[:, None], jnp.stack([kind, score, right, wrong], -1), 0)
        rows = rows[jnp.argsort(~kept)]
        return jnp.concatenate([jnp.zeros(self.classes).at[kinds].add(exist), rows.ravel()])
