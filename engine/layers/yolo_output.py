"""YoloDetectionOutput and Yolov3DetectionOutput: the detections of YOLO v2 and v3 (MobileNet-YOLO)."""

from functools import partial
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from engine.data import padded_rows
from engine.graph import counts
from engine.layers.base import Array, Arrays, Context, HostLayer, Shape
from engine.layers.registry import layer
from engine.ops.boxes import suppress
from engine.ops.yolo_boxes import corners, of_grid, of_region

FEWEST = 64
"""The smallest number of candidates for which suppression is compiled; the next is twice as many, and so on."""


class _YoloOutput(HostLayer):
    """Makes a top (1, 1, M, 7): image, class + 1, score, xmin, ymin, xmax, ymax, by descending score, after non-maximum
    suppression across classes.

    As in the fork, the image is 0 for all boxes. If nothing is found, there is one row per image, whose other values
    are −1.
    """

    bottoms: ClassVar[counts.Bounds] = (1, None)

    def check_grids(self, channels: int, *bottoms: Shape) -> None:
        """Raises LayerError for a bottom that is not (N, channels, H, W)."""
        for i, shape in enumerate(bottoms):
            if len(shape) != 4 or shape[1] != channels or not all(shape[2:]):
                raise self.error(f"{self.bottom(i)} has shape {list(shape)}; it must be (N, {channels}, H, W).")

    def read_anchors(self, biases: list[float], needed: int) -> np.ndarray:
        """Returns the widths and heights of anchors, `needed` or more. Raises LayerError if there are too few."""
        if len(biases) < 2 * needed:
            raise self.error(f"it has {len(biases)} biases; give a width and a height for each of {needed} boxes.")
        return np.array(biases[: len(biases) // 2 * 2], np.float32).reshape(-1, 2)

    def rows(self, boxes: Array, scores: Array, kinds: Array, usable: Array, threshold: float, pictures: int) -> Array:
        """Makes the top from boxes (K, 4), given by centre and size, their scores and classes, and which of them count,
        each (K)."""
        counts = np.flatnonzero(np.asarray(usable))
        ordered = counts[np.argsort(-np.asarray(scores)[counts], kind="stable")]
        if not len(ordered):
            none = np.full((1, 1, pictures, 7), -1, np.float32)
            none[..., 0] = np.arange(pictures)
            return jnp.asarray(none)
        edges = np.asarray(corners(boxes))[ordered]
        padded = np.zeros((padded_rows.padded(len(edges), FEWEST), 4), edges.dtype)
        padded[: len(edges)] = edges
        below = float(np.nextafter(np.float32(threshold), np.float32(-1)))  # suppresses an overlap of the threshold too
        kept = np.asarray(_suppress(padded[None], (np.arange(len(padded)) < len(edges))[None], below))[0, : len(edges)]
        columns = np.stack([np.zeros(len(ordered)), np.asarray(kinds)[ordered] + 1, np.asarray(scores)[ordered]], -1)
        return jnp.asarray(np.concatenate([columns, edges], -1)[kept][None, None], jnp.float32)


_suppress = jax.jit(suppress, static_argnums=2)


@layer("YoloDetectionOutput")
class YoloDetectionOutput(_YoloOutput):
    """The detections of YOLO v2. A box's score is its confidence times that of its best class. For the top, see
    _YoloOutput.

    Bottoms, one or two: (N, num_box · (5 + num_classes), S, S): in each cell, for each anchor, the raw x, y, w, h,
    confidence and class scores, before the activation functions. `biases`: the anchors' widths and heights, in cells.
    A second bottom with a different number of channels is the image, which Intel's fork requires; it is ignored.
    """

    bottoms = (1, 2)

    def setup(self, *grids: Shape) -> list[Shape]:
        p = self.config.yolo_detection_output_param
        if not p.HasField("num_classes"):
            raise self.error("yolo_detection_output_param needs num_classes.")
        if p.coords != 4:
            raise self.error(f"coords is {p.coords}; it must be 4.")
        channels = p.num_box * (5 + p.num_classes)
        self.grids = sum(shape[1:2] == (channels,) for shape in grids[1:]) + 1
        self.check_grids(channels, *grids[: self.grids])
        self.anchors = self.read_anchors(list(p.biases), p.num_box)[: p.num_box]
        self.least, self.nms = p.confidence_threshold, p.nms_threshold
        return [(1, 1, 1, 7)]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        by_grid = [_of_v2(x, self.anchors) for x in bottoms[: self.grids]]
        boxes, scores, kinds = (jnp.concatenate(v) for v in zip(*by_grid, strict=True))
        return [self.rows(boxes, scores, kinds, scores >= self.least, self.nms, len(bottoms[0]))]


@jax.jit
def _of_v2(x: Array, anchors: Array) -> tuple[Array, Array, Array]:
    """Boxes (K, 4), scores (K) and classes (K) of x (N, B · (5 + C), S, S), by cell and then by anchor."""
    boxes, sure, classes = of_region(x, anchors)
    return boxes.reshape(-1, 4), (sure * jnp.max(classes, -1)).ravel(), jnp.argmax(classes, -1).ravel()


@layer("Yolov3DetectionOutput")
class Yolov3DetectionOutput(_YoloOutput):
    """The detections of YOLO v3: one box for each class with a score above the threshold. For the top, see _YoloOutput.

    Bottoms, mask_group_num of them: (N, num_box · (5 + num_classes), H, W): in each cell, for each anchor, the raw x,
    y, w, h, confidence and class scores, before the activation functions. `mask` lists, one bottom after the other, the
    indices of its anchors in `biases` (in pixels); `anchors_scale` gives the pixels per cell of each bottom. With
    `gaussian_box`, each of x, y, w, h is followed by its uncertainty, and confidences are multiplied by 1 − the mean
    uncertainty.
    """

    def setup(self, *grids: Shape) -> list[Shape]:
        p = self.config.yolov3_detection_output_param
        if not p.HasField("num_classes"):
            raise self.error("yolov3_detection_output_param needs num_classes.")
        if len(grids) != p.mask_group_num or len(p.anchors_scale) < len(grids):
            raise self.error(
                f"it has {len(grids)} bottoms, mask_group_num {p.mask_group_num} and {len(p.anchors_scale)} "
                "anchors_scale; there must be one of each per bottom."
            )
        each = len(p.mask) // len(grids)
        if not p.num_box or each < p.num_box:
            raise self.error(
                f"it has {len(p.mask)} mask for {len(grids)} bottoms; give num_box, {p.num_box}, per bottom."
            )
        self.gaussian = p.gaussian_box
        self.check_grids(p.num_box * ((9 if p.gaussian_box else 5) + p.num_classes), *grids)
        anchors = self.read_anchors(list(p.biases), max(p.mask) + 1)
        self.anchors = [anchors[list(p.mask[i * each : i * each + p.num_box])] for i in range(len(grids))]
        self.scales, self.classes = list(p.anchors_scale), p.num_classes
        self.least, self.nms = p.confidence_threshold, p.nms_threshold
        return [(1, 1, 1, 7)]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        each = [_of_v3(x, a, s, self.gaussian) for x, a, s in zip(bottoms, self.anchors, self.scales, strict=False)]
        boxes, scores = (jnp.concatenate(v) for v in zip(*each, strict=True))
        kinds = jnp.tile(jnp.arange(self.classes), len(boxes))
        scores, boxes = scores.ravel(), jnp.repeat(boxes, self.classes, axis=0)
        return [self.rows(boxes, scores, kinds, scores > self.least, self.nms, len(bottoms[0]))]


@partial(jax.jit, static_argnums=(2, 3))
def _of_v3(x: Array, anchors: Array, scale: int, gaussian: bool) -> tuple[Array, Array]:
    """Boxes (K, 4) and their scores (K, C) of x (N, B · (5 + C), H, W), by cell and then by anchor."""
    parts = x.reshape(len(x), len(anchors), -1, *x.shape[2:])
    sure, every = jax.nn.sigmoid(parts), 2 if gaussian else 1
    offsets = jnp.concatenate([sure[:, :, : 2 * every : every], parts[:, :, 2 * every : 4 * every : every]], 2)
    boxes = of_grid(offsets, anchors, (x.shape[3] * scale, x.shape[2] * scale))
    confidence = sure[:, :, 4 * every]
    if gaussian:
        confidence = confidence * (1 - jnp.mean(sure[:, :, 1:8:2], axis=2))
    scores = jnp.moveaxis(confidence[:, :, None] * sure[:, :, 4 * every + 1 :], 2, -1)
    by_place = partial(jnp.moveaxis, source=1, destination=3)
    return by_place(boxes).reshape(-1, 4), by_place(scores).reshape(-1, scores.shape[-1])
