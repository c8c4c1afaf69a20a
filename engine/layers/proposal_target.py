"""ProposalTarget: samples regions to train a detector on, with their targets (Girshick 2015; Cascade R-CNN's form)."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax.lax import stop_gradient

from engine.data.rounding import round_half_away
from engine.layers.base import Array, Arrays, Context, HostLayer, Shape, count
from engine.layers.box_regression import normalization
from engine.layers.registry import layer
from engine.ops.region_boxes import overlap

LEAST_SIDE = 32
"""The smallest side, in pixels, of a region drawn at random."""


@dataclass(frozen=True)
class _Chosen:
    """The sampled regions (R, 5), their target classes (R), 0 for background, the index (R) of the object that each
    overlaps most, −1 for none, and that overlap (R)."""

    regions: np.ndarray
    classes: np.ndarray
    nearest: np.ndarray
    overlaps: np.ndarray


@layer("ProposalTarget")
class ProposalTarget(HostLayer):
    """Samples the regions to train on, with their classes and the regression targets that move them to their objects.

    A region whose largest overlap with an object is fg_thr or more gets that object's class; one with bg_thr_lw to less
    than bg_thr_hg is background. With append_gtbox, the objects count as regions too. At most fg_fraction of the
    batch_size regions are objects. If there are too many regions of a kind, they are sampled at random; if there is too
    little background, pickup_discard adds other regions below fg_thr. batch_size −1 takes all. If no region is left,
    one is drawn at random.
    Bottoms: regions (R, 5, …): image, x1, y1, x2, y2, both ends included; objects (G, 7 or more, …): image (−1 for
    none), x1, y1, x2, y2, class, ignored. Tops, of S rows: regions (S, 5, 1, 1), classes (S, 1, 1, 1), regression
    targets and their inside and outside weights (S, 4 · cls_num, 1, 1), or 8 columns with `cls_aware: false`; the
    matched objects (S, 6, 1, 1): class, x1, y1, x2, y2, overlap; and row weights (S, 1, 1, 1), with which objects make
    up fg_fraction of the total and background the rest. No gradient.
    """

    bottoms = (2, 2)
    tops = (6, 7)

    def setup(self, regions: Shape, objects: Shape) -> list[Shape]:
        p = self.config.proposal_target_param
        if len(regions) < 2 or count(regions[1:]) != 5 or len(objects) < 2 or count(objects[1:]) < 7:
            raise self.error(
                f"{self.bottom(0)} has shape {list(regions)} and {self.bottom(1)} {list(objects)}; it takes regions "
                "(R, 5): picture, x1, y1, x2, y2, and objects (G, 7 or more): the same, then class and ignored."
            )
        self.mean, self.std = normalization(self)
        self.by_class = self.config.bbox_reg_param.cls_aware
        if p.batch_size != -1 and p.batch_size < 1:
            raise self.error(f"batch_size is {p.batch_size}; it must be 1 or more, or −1 for all regions.")
        if self.by_class and p.cls_num < 2:
            raise self.error(f"cls_num is {p.cls_num}; proposal_target_param needs 2 or more, the background included.")
        if p.fg_thr < p.bg_thr_hg or not 0 <= p.fg_fraction <= 1 or p.num_img_per_batch < 1:
            raise self.error(
                f"fg_thr is {p.fg_thr:g} and bg_thr_hg {p.bg_thr_hg:g}, fg_fraction {p.fg_fraction:g}, "
                f"num_img_per_batch {p.num_img_per_batch}; fg_thr must be at least bg_thr_hg, fg_fraction from 0 to 1, "
                "and num_img_per_batch 1 or more."
            )
        self.p = p
        self.width = 4 * p.cls_num if self.by_class else 8
        rows = regions[0] if p.batch_size == -1 else p.batch_size
        widths = (5, 1, self.width, self.width, self.width, 6, 1)
        return [(max(rows, 1), width, 1, 1) for width in widths[: len(self.config.top)]]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        regions, objects = (np.asarray(stop_gradient(x)).reshape(len(x), count(x.shape[1:])) for x in bottoms)
        objects = objects[objects[:, 0].astype(int) != -1]
        self._check(regions, objects)
        chosen = self._chosen(regions, objects, ctx)
        matched = np.zeros((len(chosen.classes), 6), regions.dtype)
        foreground = np.flatnonzero(chosen.classes > 0)
        classes, overlaps = chosen.classes[foreground, None], chosen.overlaps[foreground, None]
        matched[foreground] = np.concatenate([classes, objects[chosen.nearest[foreground], 1:5], overlaps], 1)
        targets, weights = self._targets(chosen, matched)
        tops = [chosen.regions, chosen.classes[:, None], targets, weights, weights, matched]
        if len(self.config.top) > 6:
            tops.append(self._row_weights(matched)[:, None])
        return [jnp.asarray(top[:, :, None, None].astype(regions.dtype)) for top in tops]

    def _check(self, regions: np.ndarray, objects: np.ndarray) -> None:
        most = self.p.num_img_per_batch
        for i, rows in enumerate((regions, objects)):
            if len(rows) and not (rows[:, 0].min() >= 0 and rows[:, 0].max() < most):
                raise self.error(
                    f"{self.bottom(i)} has pictures {rows[:, 0].min():g} to {rows[:, 0].max():g}; with "
                    f"num_img_per_batch {most}, they must be 0 to {most - 1}."
                )
        classes = self.p.cls_num if self.by_class else np.inf
        if len(objects) and not (objects[:, 5].min() >= 1 and objects[:, 5].max() < classes):
            raise self.error(
                f"{self.bottom(1)} has classes {objects[:, 5].min():g} to {objects[:, 5].max():g}; they must be 1 or "
                f"more, as 0 is the background, and cls_num is {self.p.cls_num}."
            )

    def _chosen(self, regions: np.ndarray, objects: np.ndarray, ctx: Context) -> _Chosen:
        """The sampled regions, those of objects first."""
        p = self.p
        all_regions = np.concatenate([regions, objects[:, :5]]) if p.append_gtbox else regions
        nearest, overlaps = _nearest(all_regions, objects)
        is_object = overlaps >= p.fg_thr
        of_object = np.flatnonzero(is_object & ~(objects[nearest, 6] != 0 if len(objects) else is_object))
        between = ~is_object & (overlaps >= p.bg_thr_lw) & (overlaps < p.bg_thr_hg)
        others = np.flatnonzero(between)
        size = len(of_object) + len(others) if p.batch_size == -1 else p.batch_size
        most = len(of_object) if p.batch_size == -1 else round_half_away(p.fg_fraction * p.batch_size)
        of_object = _drawn(of_object, most, ctx, 0)
        room = size - len(of_object)
        if len(others) <= room and p.pickup_discard:
            others = np.concatenate([others, np.flatnonzero(~is_object & ~between)[: room - len(others)]])
        others = _drawn(others, room, ctx, 1)
        if not len(of_object) + len(others):
            box = self._invented(objects, ctx)
            return _Chosen(box, np.zeros(1, int), np.full(1, -1), np.zeros(1))
        rows = np.concatenate([of_object, others])
        classes = np.where(is_object[rows], objects[nearest[rows], 5].astype(int) if len(objects) else 0, 0)
        return _Chosen(all_regions[rows], classes, nearest[rows], overlaps[rows])

    def _invented(self, objects: np.ndarray, ctx: Context) -> np.ndarray:
        """A background region (1, 5) at a random position of a random image."""
        p, rng = self.p, _generator(ctx, 2)
        if min(p.img_width, p.img_height) <= LEAST_SIDE:
            raise self.error(
                "no region is left to train on, and to draw one at random img_width and img_height must be above "
                f"{LEAST_SIDE}; they are {p.img_width} and {p.img_height}."
            )
        for _ in range(1000):
            x, y = (int(rng.integers(n - LEAST_SIDE)) for n in (p.img_width, p.img_height))
            width, height = (max(int(rng.integers(n)), LEAST_SIDE) for n in (p.img_width - x, p.img_height - y))
            box = np.array([[rng.integers(p.num_img_per_batch), x, y, x + width - 1, y + height - 1]], objects.dtype)
            if _nearest(box, objects)[1][0] < p.fg_thr:
                return box
        raise self.error("no region is left to train on, and none of 1,000 drawn at random is background.")

    def _targets(self, chosen: _Chosen, matched: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The regression targets, in the columns of the regions' classes, and the weights of these values."""
        targets, weights = (np.zeros((len(matched), self.width), matched.dtype) for _ in range(2))
        rows = np.flatnonzero(chosen.classes > 0)
        (from_centre, from_size), (to_centre, to_size) = map(_middle, (chosen.regions[rows, 1:], matched[rows, 1:5]))
        moves = np.concatenate([(to_centre - from_centre) / from_size, np.log(to_size / from_size)], 1)
        own = chosen.classes[rows] if self.by_class else np.minimum(chosen.classes[rows], 1)
        columns = 4 * own[:, None] + np.arange(4)
        targets[rows[:, None], columns] = (moves - self.mean) / self.std
        counts = (chosen.overlaps[rows] >= self.p.bbox_thr_lw) & (chosen.overlaps[rows] <= self.p.bbox_thr_hg)
        weights[rows[:, None], columns] = counts[:, None]
        return targets, weights

    def _row_weights(self, matched: np.ndarray) -> np.ndarray:
        foreground = matched[:, 0] > 0
        weights = np.where(foreground, matched[:, 5], 1) if self.p.iou_weighted else np.ones(len(matched))
        if np.any(foreground):  # as in the fork, rows of nothing but background keep a weight of 1
            for rows, part in ((foreground, self.p.fg_fraction), (~foreground, 1 - self.p.fg_fraction)):
                weights[rows] *= part * len(matched) / max(weights[rows].sum(), np.finfo(weights.dtype).tiny)
        return weights


def _nearest(regions: np.ndarray, objects: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The object of the same image that each region overlaps most, −1 if its image has none; and that overlap."""
    if not len(objects):
        return np.full(len(regions), -1), np.zeros(len(regions))
    share = overlap("IOU", 1, matching=True)
    shares = np.asarray(share(objects[None, :, 1:5], regions[:, None, 1:]))  # type: ignore[arg-type]
    shares = np.where(objects[None, :, 0] == regions[:, :1], shares, -1)
    best = np.argmax(shares, 1)
    overlaps = shares[np.arange(len(regions)), best]
    return np.where(overlaps < 0, -1, best), np.maximum(overlaps, 0)


def _middle(boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centres (R, 2) and sizes (R, 2) of boxes that include their last pixels."""
    size = boxes[:, 2:] - boxes[:, :2] + 1
    return boxes[:, :2] + size / 2, size


def _drawn(numbers: np.ndarray, most: int, ctx: Context, draw: int) -> np.ndarray:
    """A random selection of `most` of the numbers; all of them, in their order, if there are no more than that."""
    return numbers if len(numbers) <= most else _generator(ctx, draw).permutation(numbers)[:most]


def _generator(ctx: Context, draw: int) -> np.random.Generator:
    return np.random.default_rng([draw, *np.asarray(jax.random.key_data(ctx.key)).tolist()])
