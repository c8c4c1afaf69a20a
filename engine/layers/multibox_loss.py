"""MultiBoxLoss, which compares a detector's offsets and scores with the ground truth (Liu et al. 2016, section 2.2),
and MultiBoxFocalLoss."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax.lax import stop_gradient

from engine.graph import detections
from engine.layers.base import Array, Arrays, Context, Shape
from engine.layers.classification_loss import LOG_FLT_MIN
from engine.layers.loss import Loss, floored, normalization, normalizer
from engine.layers.registry import layer
from engine.layers.smooth_l1_loss import smooth_l1
from engine.ops.box_matching import NONE, match
from engine.ops.boxes import area, decode, encode, overlap, suppress
from engine.proto import caffe_pb2 as pb

_Param = pb.MultiBoxLossParameter

SMALLEST = 1e-5
"""Smaller boxes, by area, are not used as examples where examples are chosen by non-maximum suppression."""


@dataclass(frozen=True)
class _Truth:
    """The ground truth: boxes (G, 4), and the class and image of each (G). Rows that do not count have the number of
    images for their image."""

    boxes: Array
    labels: Array
    pictures: Array


@layer("MultiBoxLoss")
class MultiBoxLoss(Loss):
    """(loc_weight · L_loc + L_conf) / normalizer, by default VALID, the number of matched priors (SSD).

    Each prior that overlaps a ground-truth box enough is matched with it. L_loc: smooth L1, or half the square, of the
    difference between the offsets of the matched priors and those that decode to their boxes. L_conf: softmax or
    sigmoid cross-entropy of the classes of the matched priors and, as background, of those other priors that
    `mining_type` selects by their loss.

    Bottoms: offsets (N, P · L · 4), scores (N, P · C), priors (1, 2, P · 4), and the ground truth (1, 1, G, 8): image,
    class, instance, xmin, ymin, xmax, ymax, difficult; rows with image −1 are padding. P is the number of priors, C
    that of classes, and L = 1, or C with `share_location: false`. A ground-truth class that is out of range, or the
    background, makes the loss NaN.
    """

    def setup(self, loc: Shape, conf: Shape, priors: Shape, truth: Shape) -> list[Shape]:
        self.p = p = detections.loss_settings(self.node)
        self.priors = detections.learned(self.node, loc, conf, priors, truth)
        self.locations = 1 if p.share_location else p.num_classes
        self.normalization = normalization(self.config.loss_param)
        self.fixed = self.config.loss_param.pre_fixed_normalizer
        self.mined = p.mining_type != p.NONE
        self.counted = (list(self.config.propagate_down) or [True, True])[:2]
        return [()]

    def propagates_to(self, bottom: int) -> bool:
        return bottom < 2

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        items = bottoms[0].shape[0]
        loc = jnp.moveaxis(bottoms[0].reshape(items, self.priors, self.locations, 4), 2, 1)
        conf = bottoms[1].reshape(items, self.priors, self.p.num_classes)
        boxes, variances = stop_gradient(bottoms[2]).reshape(2, self.priors, 4)
        truth = self._truth(stop_gradient(bottoms[3]).reshape(-1, 8), items)
        matched, largest = self._match(stop_gradient(loc), boxes, variances, truth)
        negative = jnp.zeros((items, self.priors), bool)
        if self.mined:
            fixed = stop_gradient(loc), stop_gradient(conf)
            stays, negative = self._mine(*fixed, boxes, variances, truth, matched[:, 0], largest[:, 0])
            matched = stays[:, None]
        positives = jnp.sum(matched > NONE)
        divisor = normalizer(self.normalization, items, items * self.priors, positives, self.fixed)
        loss = jnp.zeros((), conf.dtype)
        if self.counted[0]:
            errors = self._offset_losses(loc, boxes, variances, truth, matched)
            loss += self.p.loc_weight * jnp.sum(errors) / divisor
        if self.counted[1]:
            loss += self._class_loss(conf, truth, matched, negative) / divisor
        return [loss + self._wrong(truth, items)]

    # Matching and mining

    def _truth(self, rows: Array, items: int) -> _Truth:
        picture = rows[:, 0].astype(jnp.int32)
        counts = (picture >= 0) & (picture < items)
        if not self.p.use_difficult_gt:
            counts &= rows[:, 7] == 0
        return _Truth(rows[:, 3:7], rows[:, 1].astype(jnp.int32), jnp.where(counts, picture, items))

    def _match(self, loc: Array, boxes: Array, variances: Array, truth: _Truth) -> tuple[Array, Array]:
        """Returns, for each image, location class and prior (N, L, P), the matched row of the ground truth and the
        largest overlap with any row."""
        p, (items, locations) = self.p, loc.shape[:2]
        threshold = p.overlap_threshold if p.match_type == p.PER_PREDICTION else None
        group, groups, candidates = truth.pictures, items, boxes[None]
        if not p.use_prior_for_matching:
            candidates = self._decoded(loc, boxes, variances).reshape(-1, self.priors, 4)
            if not p.share_location:  # each class has boxes of its own, matched only with the rows of that class
                groups = items * locations
                valid = (group < items) & (truth.labels < locations) & (truth.labels != p.background_label_id)
                group = jnp.where(valid, group * locations + truth.labels, groups)
        outside = None
        if p.ignore_cross_boundary_bbox:
            outside = jnp.broadcast_to(jnp.any((candidates < 0) | (candidates > 1), -1), (groups, self.priors))
        own = candidates[0] if len(candidates) == 1 else candidates[jnp.minimum(group, groups - 1)]
        matched, largest = match(overlap(truth.boxes[:, None], own), group, groups, threshold, outside)
        if not p.share_location and p.use_prior_for_matching:  # a match counts only for the class of its row
            classes = truth.labels.at[matched].get(mode="clip")[:, None] == jnp.arange(locations)[:, None]
            real = jnp.arange(locations)[:, None] != p.background_label_id
            matched = jnp.where(classes & real & (matched[:, None] > NONE), matched[:, None], NONE)
            largest = jnp.broadcast_to(largest[:, None], matched.shape)
        return matched.reshape(items, -1, self.priors), largest.reshape(items, -1, self.priors)

    def _mine(
        self, loc: Array, conf: Array, boxes: Array, variances: Array, truth: _Truth, matched: Array, largest: Array
    ) -> tuple[Array, Array]:
        """Returns the matches that remain, and which other priors count as background (N, P). No prior is chosen in
        images without boxes."""
        p = self.p
        labels = jnp.where(matched > NONE, truth.labels.at[matched].get(mode="clip"), p.background_label_id)
        losses = self._class_losses(conf, labels)
        hard = p.mining_type == p.HARD_EXAMPLE
        if hard:
            losses += jnp.sum(self._offset_losses(loc, boxes, variances, truth, matched[:, None]), (1, 3))
            eligible = jnp.ones(matched.shape, bool)
            numbers = jnp.full(len(matched), p.sample_size)
        else:
            eligible = (matched == NONE) & (largest < p.neg_overlap)
            numbers = jnp.floor(jnp.sum(matched > NONE, 1) * np.float32(p.neg_pos_ratio)).astype(jnp.int32)
        has_boxes = jnp.zeros(len(matched) + 1, bool).at[truth.pictures].set(True)[:-1]
        eligible &= has_boxes[:, None]
        if p.HasField("nms_param") and p.nms_param.nms_threshold > 0:
            candidates = boxes[None] if p.use_prior_for_nms else self._decoded(loc, boxes, variances)[:, 0]
            chosen = self._suppressed(losses, eligible, jnp.broadcast_to(candidates, (*losses.shape, 4)), numbers)
        else:
            order = jnp.argsort(jnp.where(eligible, -losses, jnp.inf), axis=1)
            chosen = eligible & (jnp.argsort(order, axis=1) < numbers[:, None])
        negative = chosen & (matched == NONE)
        return jnp.where(hard & (matched > NONE) & ~chosen, NONE, matched), negative

    def _suppressed(self, losses: Array, eligible: Array, boxes: Array, numbers: Array) -> Array:
        """Selects, after non-maximum suppression, the `numbers` eligible priors with the largest loss (N, P)."""
        nms = self.p.nms_param
        limit = min(nms.top_k, self.priors) if nms.top_k > -1 else self.priors
        best, places = jax.lax.top_k(jnp.where(eligible, losses, -jnp.inf), limit)
        candidates = jnp.take_along_axis(boxes, places[:, :, None], 1)
        usable = (best > -jnp.inf) & (area(candidates) >= SMALLEST)
        kept = suppress(candidates, usable, nms.nms_threshold)
        kept &= jnp.cumsum(kept, 1) <= numbers[:, None]
        return jnp.zeros(losses.shape, bool).at[jnp.arange(len(losses))[:, None], places].set(kept)

    def _decoded(self, loc: Array, boxes: Array, variances: Array) -> Array:
        return decode(self.p.code_type, loc, boxes, 1.0 if self.p.encode_variance_in_target else variances)

    # Losses

    def _offset_losses(self, loc: Array, boxes: Array, variances: Array, truth: _Truth, matched: Array) -> Array:
        """The loss of each offset (N, L, P, 4); 0 where a prior is not matched."""
        p = self.p
        units = 1.0 if p.encode_variance_in_target else variances
        targets = encode(p.code_type, truth.boxes.at[matched].get(mode="clip"), boxes, units)
        d = loc - targets
        if p.encode_variance_in_target:  # the fork's gradient ignores the variance
            d = d + stop_gradient(d / variances - d)
        counts = (matched > NONE)[..., None]
        if p.bp_inside:
            stands = boxes if p.use_prior_for_matching else self._decoded(stop_gradient(loc), boxes, variances)
            counts = counts & (stands >= 0) & (stands <= 1)
        d = jnp.where(counts, d, 0)
        return smooth_l1(d) if p.loc_loss_type == p.SMOOTH_L1 else jnp.square(d) / 2

    def _class_losses(self, conf: Array, labels: Array) -> Array:
        """The loss of each prior (N, P) for its class in `labels` (N, P)."""
        if self.p.conf_loss_type == self.p.SOFTMAX:
            own = jnp.clip(labels, 0, conf.shape[-1] - 1)[..., None] == jnp.arange(conf.shape[-1])
            log_p = jnp.sum(jnp.where(own, jax.nn.log_softmax(conf, -1), 0), -1)  # a gather's gradient is a scatter
            return -floored(log_p, LOG_FLT_MIN)
        targets = jax.nn.one_hot(labels, conf.shape[-1], dtype=conf.dtype)
        return jnp.sum(jax.nn.softplus(conf) - conf * targets, -1)

    def weighted(self, losses: Array) -> Array:
        """The softmax losses as they enter the total, after the priors have been chosen."""
        return losses

    def _class_loss(self, conf: Array, truth: _Truth, matched: Array, negative: Array) -> Array:
        """The sum over the priors that count: the matched and the negative ones, or all if there is no mining."""
        p = self.p
        matched_classes = (
            p.background_label_id + 1 if p.map_object_to_agnostic else truth.labels.at[matched].get(mode="clip")
        )
        labels = jnp.max(jnp.where(matched > NONE, matched_classes, -1), 1)  # (N, P): the last of several classes
        counts = (labels > -1) | negative if self.mined else jnp.ones(negative.shape, bool)
        if p.conf_loss_type == p.SOFTMAX:
            losses = self._class_losses(conf, jnp.where(labels > -1, labels, p.background_label_id))
            return jnp.sum(jnp.where(counts, self.weighted(losses), 0))
        targets = self._sigmoid_targets(conf.shape, jnp.where(matched > NONE, matched_classes, -1), negative)
        return jnp.sum(jnp.where(counts[..., None], jax.nn.softplus(conf) - conf * targets, 0))

    def _sigmoid_targets(self, shape: Shape, matched_classes: Array, negative: Array) -> Array:
        """Targets (N, P, C): 1 at the class of each match in `matched_classes` (N, L, P), where −1 means no match, and
        at the background of negatives. All others are background_label_id itself, as in the fork."""
        items, priors, classes = shape
        # Without mining, the fork advances by P values per image instead of P · C.
        start = jnp.arange(items) * priors * (classes if self.mined else 1)
        at = start[:, None, None] + jnp.arange(priors) * classes + matched_classes
        at = jnp.where(matched_classes > -1, at, items * priors * classes)
        targets = jnp.full(items * priors * classes, float(self.p.background_label_id), jnp.float32)
        targets = targets.at[at].set(1, mode="drop").reshape(shape)
        background = jnp.arange(classes) == self.p.background_label_id
        return jnp.where(negative[..., None] & background, 1, targets)

    def _wrong(self, truth: _Truth, items: int) -> Array:
        """NaN if a box's class is out of range or the background, else 0. Compiled code cannot raise an error."""
        p = self.p
        valid = (truth.labels >= 0) & (truth.labels != p.background_label_id)
        if not p.map_object_to_agnostic:
            valid &= truth.labels < p.num_classes
        return jnp.where(jnp.all(valid | (truth.pictures == items)), 0.0, jnp.nan)


@layer("MultiBoxFocalLoss")
class MultiBoxFocalLoss(MultiBoxLoss):
    """MultiBoxLoss with alpha · (1 − p)^gamma · −log p as the softmax loss of each class (Lin et al. 2017).

    p, alpha and gamma are those of FocalLoss, set in `focal_loss_param`. Examples are still chosen by −log p.
    """

    def setup(self, loc: Shape, conf: Shape, priors: Shape, truth: Shape) -> list[Shape]:
        focal = self.config.focal_loss_param
        self.alpha, self.gamma = focal.alpha, focal.gamma
        return super().setup(loc, conf, priors, truth)

    def weighted(self, losses: Array) -> Array:
        return self.alpha * (1 - jnp.exp(-losses)) ** self.gamma * losses
