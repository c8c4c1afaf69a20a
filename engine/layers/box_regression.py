"""Layers between the stages of a detector cascade, in which each stage refines the regions of the one before:
DecodeBBox, ScaleRoute, BboxAccuracy (Cascade R-CNN, Cai and Vasconcelos 2018)."""

import jax.numpy as jnp
import numpy as np
from jax.lax import stop_gradient

from engine.layers.base import Array, Arrays, Context, HostLayer, Layer, Shape, count, rows
from engine.layers.registry import layer
from engine.ops.region_boxes import moved, overlap
from engine.proto import caffe_pb2 as pb

LARGEST_OVERLAP = 0.975
"""BboxAccuracy ignores regions that overlap their object by more than this: they are the objects themselves."""


def normalization(of: Layer) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The mean and standard deviation by which regression values are normalised: bbox_mean and bbox_std of a layer's
    bbox_reg_param, 0 and 1 if not given."""
    p = of.config.bbox_reg_param
    if not p.bbox_mean or not p.bbox_std:
        return (0.0,) * 4, (1.0,) * 4
    for name in ("bbox_mean", "bbox_std"):
        if len(getattr(p, name)) != 4:
            raise of.error(f"{len(getattr(p, name))} {name}; bbox_reg_param needs 4: of x, y, width and height.")
    if min(p.bbox_std) <= 0:
        raise of.error(f"bbox_std is {list(p.bbox_std)}; each must be above 0.")
    return tuple(p.bbox_mean), tuple(p.bbox_std)


def check_rows(of: Layer, shapes: list[tuple[int, Shape, int, str]]) -> None:
    """Raises LayerError unless each bottom i has shape (R, width), with the same R; further axes may have length 1."""
    for i, shape, width, what in shapes:
        if len(shape) < 2 or shape[0] != shapes[0][1][0] or count(shape[1:]) != width:
            raise of.error(
                f"{of.bottom(i)} has shape {list(shape)}; it must be (R, {width}): {what}, R the same for all."
            )


@layer("DecodeBBox")
class DecodeBBox(Layer):
    """The regions moved by the predictions: `region_boxes.moved` with values · bbox_std + bbox_mean.

    Bottoms: predictions (R, 8), of which the last 4 are those for the object; regions (R, 5, 1, 1): image, x1, y1, x2,
    y2, both ends included. Top: regions, of the same shape. No gradient.
    """

    bottoms = (2, 3)

    def setup(self, moves: Shape, regions: Shape, *matched: Shape) -> list[Shape]:
        if matched and self.phase != pb.TRAIN:
            raise self.error("it has 3 bottoms; the third, the matched boxes, is for phase TRAIN only.")
        self.mean, self.std = normalization(self)
        check_rows(
            self,
            [
                (0, moves, 8, "4 values of the background and 4 of the object"),
                (1, regions, 5, "picture, x1, y1, x2, y2"),
                *((2, s, count(s[1:]), "the matched boxes") for s in matched),
            ],
        )
        return [regions]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        moves, regions = map(stop_gradient, bottoms[:2])
        flat = regions.reshape(-1, 5)
        values = moves.reshape(-1, 8)[:, 4:] * jnp.asarray(self.std, moves.dtype) + jnp.asarray(self.mean, moves.dtype)
        return [jnp.concatenate([flat[:, :1], moved(values, flat[:, 1:])], 1).reshape(regions.shape)]

    def propagates_to(self, bottom: int) -> bool:
        return False


@layer("DecodeBBox", when=lambda config: config.phase == pb.TRAIN)
class SievedDecodeBBox(HostLayer, DecodeBBox):
    """DecodeBBox in training: drops regions smaller than a pixel, and those that are the objects themselves.

    The last column of a third bottom (R, …) is each region's overlap with its object; from decode_bbox_param's
    gt_iou_thr on, the region is taken to be the object itself. Raises LayerError if no region is left, as in the fork.
    """

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        (decoded,) = (np.asarray(top) for top in super().forward(params, bottoms, ctx))
        corners = decoded.reshape(len(decoded), 5)[:, 1:]
        kept = np.all(corners[:, :2] <= corners[:, 2:], 1)
        for matched in bottoms[2:]:
            kept &= np.asarray(matched).reshape(len(decoded), -1)[:, -1] < self.config.decode_bbox_param.gt_iou_thr
        if not np.any(kept):
            raise self.error(
                f"none of {len(decoded)} regions is left: all are objects themselves or less than a pixel."
            )
        return [jnp.asarray(decoded[kept])]


@layer("ScaleRoute")
class ScaleRoute(HostLayer):
    """Selects the rows whose regions have a scale √(width · height) from low_scale to less than high_scale, in pixels.

    If there is none, it selects the one whose scale is nearest, by its logarithm, to the geometric mean of the two
    limits, to the only limit given, or to 256. Bottoms: regions (R, 5, …): image, x1, y1, x2, y2, both ends included;
    any number of (R, …). Tops: the selected rows of each. No gradient.
    """

    bottoms = (1, None)
    tops = (1, None)

    def setup(self, *bottoms: Shape) -> list[Shape]:
        p = self.config.scale_route_param
        others = [(i, s, count(s[1:]), "a row for each region") for i, s in enumerate(bottoms[1:], 1)]
        check_rows(self, [(0, bottoms[0], 5, "picture, x1, y1, x2, y2"), *others])
        if len(self.config.top) != len(bottoms):
            raise self.error(f"it has {len(self.config.top)} tops; give one for each of its {len(bottoms)} bottoms.")
        low, high = (getattr(p, name) if p.HasField(name) else None for name in ("low_scale", "high_scale"))
        if (low is not None and low <= 0) or (high is not None and not (low or 0) < high < float("inf")):
            raise self.error(f"low_scale is {low} and high_scale {high}; 0 < low_scale < high_scale is needed.")
        self.low, self.high = low or 0.0, float("inf") if high is None else high
        ends = [v for v in (low, high) if v is not None] or [256.0]
        self.middle = float(np.prod(ends) ** (1 / len(ends)))
        return [(1, *shape[1:]) for shape in bottoms]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        values = [np.asarray(stop_gradient(x)) for x in bottoms]
        corners = values[0].reshape(len(values[0]), 5)[:, 1:]
        side = corners[:, 2:] - corners[:, :2]
        scale = np.sqrt(np.where(np.all(side >= 0, 1), np.prod(side + 1, 1), 0))
        chosen = (scale >= self.low) & (scale < self.high)
        if not np.any(chosen):
            with np.errstate(divide="ignore"):
                away = np.abs(np.log2(scale / self.middle))
            chosen = np.arange(len(away)) == np.argmin(away)
        return [jnp.asarray(x[chosen]) for x in values]


@layer("BboxAccuracy")
class BboxAccuracy(Layer):
    """The mean overlap of regions with their objects after they are moved; and, as a second top, before.

    Only regions with an object count, except those that are the object itself. If there is none, both are −1.
    Bottoms: predictions (R, 4 · classes), or (R, 8) with `cls_aware: false`; regions (R, 5, …): image, x1, y1, x2, y2;
    matched objects (R, 6, …): class, x1, y1, x2, y2, overlap. Tops: (1, 1, 1, 1). No gradient.
    """

    bottoms = (3, 3)
    tops = (1, 2)

    def setup(self, moves: Shape, regions: Shape, matched: Shape) -> list[Shape]:
        self.mean, self.std = normalization(self)
        self.by_class = self.config.bbox_reg_param.cls_aware
        width = count(moves[1:])
        if width < 8 or width % 4 or (width != 8 and not self.by_class):
            raise self.error(
                f"{self.bottom(0)} has shape {list(moves)}; 4 values per class are needed, 8 if not cls_aware."
            )
        check_rows(
            self,
            [
                (0, moves, width, "4 values per class"),
                (1, regions, 5, "picture, x1, y1, x2, y2"),
                (2, matched, 6, "class, x1, y1, x2, y2, overlap"),
            ],
        )
        return [(1, 1, 1, 1)] * len(self.config.top)

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        moves, regions, matched = (rows(stop_gradient(x)) for x in bottoms)
        classes = matched[:, 0].astype(jnp.int32)
        counts = (classes > 0) & (matched[:, -1] <= LARGEST_OVERLAP)
        own = classes if self.by_class else jnp.minimum(classes, 1)
        values = jnp.take_along_axis(moves.reshape(len(moves), -1, 4), jnp.maximum(own, 0)[:, None, None], 1)[:, 0]
        values = values * jnp.asarray(self.std, moves.dtype) + jnp.asarray(self.mean, moves.dtype)
        share = overlap("IOU", 1, matching=True)
        objects, before = matched[:, 1:5], regions[:, 1:]
        number = jnp.sum(counts)
        sums = [jnp.sum(jnp.where(counts, share(objects, b), 0)) for b in (moved(values, before), before)]
        means = [jnp.where(number > 0, total / jnp.maximum(number, 1), -1) for total in sums]
        return [m.reshape(1, 1, 1, 1) for m in means[: len(self.top_shapes)]]

    def propagates_to(self, bottom: int) -> bool:
        return False
