"""Losses over class labels: SoftmaxWithLoss, InfogainLoss, MultinomialLogisticLoss, HingeLoss, FocalLoss and others."""

import logging

import jax
import jax.numpy as jnp
import numpy as np
from jax.lax import stop_gradient

from engine.errors import EngineError
from engine.graph import predictions
from engine.layers.base import Array, Arrays, Context, Shape, count
from engine.layers.loss import LOG_THRESHOLD, Labelled, Loss, floored, ignored, no_minus_zero, normalization, normalizer
from engine.layers.registry import layer
from engine.ops.replaced_gradient import with_gradient_of
from engine.proto import binary, paths
from engine.proto import caffe_pb2 as pb

log = logging.getLogger(__name__)

NOT_NORMALIZED = (
    "with weight_by_label_freqs and no normalize the loss is divided by the batch size, which makes it large for large "
    "pictures. To divide by the number of labels that are not ignored, give it loss_param { normalize: true }."
)

LOG_FLT_MIN = float(np.log(np.finfo(np.float32).tiny))
"""Caffe's lower bound for a log-probability in SoftmaxWithLoss: the logarithm of the smallest normal float32."""


FOCUS_FLOOR = 1e-10
"""The smallest divisor that the forks' FocalLoss uses in its gradient."""


class _SoftmaxLoss(Labelled, Loss):
    """A loss of log softmax(x). An optional second top: the softmax itself, of x's shape."""

    tops = (1, 2)
    no_gradient: tuple[int, ...] = (1,)
    ignored_by = "loss_param"

    def match_scores(self, x: Shape, labels: Shape, axis: int) -> list[Shape]:
        """Stores the axis of the classes and the normalisation of the loss; returns the tops' shapes."""
        p = self.config.loss_param
        self.check_items(x, labels)
        self.match(x, labels, axis, ignored(p))
        self.normalization, self.fixed = normalization(p), p.pre_fixed_normalizer
        return [(), x][: max(1, len(self.config.top))]

    def normalized(self, total: Array, valid: Array, log_p: Array, shape: Shape) -> list[Array]:
        """The tops, given the total loss of all predictions not ignored, and log softmax(x)."""
        n = normalizer(self.normalization, self.outer, valid.size, jnp.sum(valid), self.fixed)
        return [no_minus_zero(total / n), jnp.exp(log_p).reshape(shape)][: len(self.top_shapes)]


class _RowLoss(Labelled, Loss):
    """A loss of x (N, C), averaged over the items: one label per item, and each value of an item is a class score."""

    no_gradient = (1,)

    def setup(self, x: Shape, labels: Shape) -> list[Shape]:
        self.check_items(x, labels)
        self.match((x[0], count(x[1:])), labels, 1)
        return [()]


@layer("SoftmaxWithLoss")
class SoftmaxWithLoss(_SoftmaxLoss):
    """−Σ w[label] · log softmax(x)[label] / normalizer. An optional second top: the softmax itself, of x's shape.

    w is 1, or the class weights of the command line, times class_weighting with `weight_by_label_freqs` (SegNet). The
    normalizer ignores w: the loss equals InfogainLoss with w on the diagonal of H.
    An optional third top, of the labels' shape and without gradient: each prediction's own term (R-FCN).
    """

    def setup(self, x: Shape, labels: Shape) -> list[Shape]:
        tops = self.match_scores(x, labels, self.config.softmax_param.axis)
        p = self.config.loss_param
        self.listed = np.array(p.class_weighting, np.float32) if p.weight_by_label_freqs else None
        if self.listed is not None and len(self.listed) != self.classes:
            raise self.error(f"weight_by_label_freqs with {len(self.listed)} class_weighting; give {self.classes}.")
        if self.listed is not None and not (p.HasField("normalization") or p.HasField("normalize")):
            log.warning("%s", self.error(NOT_NORMALIZED))
            self.normalization = p.BATCH_SIZE
        return [*tops, labels] if len(self.config.top) == 3 else tops

    def weigh_classes(self, weights: np.ndarray) -> bool:
        if len(weights) != self.classes:
            raise self.error(f"{len(weights)} class weights for its {self.classes} classes; give one each.")
        self.class_weights = weights
        return True

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        rows, ids, valid = self.aligned(*bottoms[:2])
        log_p = jax.nn.log_softmax(rows, axis=1)
        log_likelihood = floored(self.of_label(log_p, ids), LOG_FLT_MIN)
        for weights in (self.class_weights, self.listed):
            if weights is not None:
                log_likelihood = log_likelihood * jnp.take(jnp.asarray(weights), ids, mode="clip")
        for each in bottoms[2:]:  # the weights of a WeightedSoftmaxWithLoss
            log_likelihood = log_likelihood * stop_gradient(each).reshape(log_likelihood.shape)
        terms = jnp.where(valid, log_likelihood, 0)
        tops = self.normalized(-jnp.sum(terms), valid, log_p, bottoms[0].shape)
        each = jax.lax.stop_gradient(no_minus_zero(-terms)).reshape(bottoms[1].shape)
        return [*tops, each][: len(self.top_shapes)]


@layer("SoftmaxWithLoss", when=lambda config: config.softmax_param.normalize_type != "Softmax")
class NormalizedLoss(SoftmaxWithLoss):
    """SoftmaxWithLoss with p = x / √(Σ x² + 10⁻⁶) in place of softmax(x), or x / (Σ |x| + 10⁻⁶) (NormFace's fork).

    normalize_type "L2" or "L1" in softmax_param selects this layer; normalize_type in normalize_param, "L2" by default,
    then says which of the two is computed, as in the fork. The gradient of x is (p − 1 at the label, p elsewhere) /
    normalizer, the same as for a softmax.
    """

    tops = (1, 2)

    def setup(self, x: Shape, labels: Shape) -> list[Shape]:
        kinds = self.config.softmax_param.normalize_type, self.config.normalize_param.normalize_type
        if not set(kinds) <= {"L1", "L2"}:
            raise self.error(
                f'softmax_param has normalize_type "{kinds[0]}" and normalize_param "{kinds[1]}"; they can be "L1" and '
                '"L2", and the first also "Softmax".'
            )
        tops = super().setup(x, labels)
        if self.listed is not None:
            raise self.error(
                f"with normalize_type {kinds[0]} weight_by_label_freqs has no effect: remove it from loss_param."
            )
        if self.axis != 1:
            raise self.error(f"with normalize_type {kinds[0]} the classes must lie along axis 1, not {self.axis}.")
        self.absolute = kinds[1] == "L1"
        return tops

    def weigh_classes(self, weights: np.ndarray) -> bool:
        return False

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        rows, ids, valid = self.aligned(*bottoms)
        total = jnp.sum(jnp.abs(rows) if self.absolute else jnp.square(rows), axis=1, keepdims=True) + 1e-6
        p = rows / (total if self.absolute else jnp.sqrt(total))
        terms = jnp.where(valid, jnp.log(jnp.maximum(self.of_label(p, ids), np.finfo(np.float32).tiny)), 0)
        own = ids[:, None] == jnp.arange(self.classes)[:, None]
        pull = jnp.sum(jax.lax.stop_gradient(jnp.where(valid[:, None], p - own, 0)) * rows)
        n = normalizer(self.normalization, self.outer, valid.size, jnp.sum(valid), self.fixed)
        loss = with_gradient_of(no_minus_zero(-jnp.sum(terms) / n), pull / n)
        return [loss, jax.lax.stop_gradient(p).reshape(bottoms[0].shape)][: len(self.top_shapes)]


@layer("SoftmaxWithLossOHEM")
class SoftmaxWithLossOHEM(SoftmaxWithLoss):
    """The later name of R-FCN's SoftmaxWithLoss; its third top feeds BoxAnnotatorOHEM."""


@layer("WeightedSoftmaxWithLoss")
class WeightedSoftmaxWithLoss(SoftmaxWithLoss):
    """−Σ w[label] · v · log softmax(x)[label] / normalizer, as in the forks. Optional second top: the softmax itself.

    w: in softmax_param, each pos_mult is the weight of the class in the pos_cid at the same place; without pos_cid, a
    single pos_mult is that of class 1. All other classes weigh 1. v: the optional third bottom, one weight per label,
    without gradient; 1 without that bottom. The normalizer ignores both. One of the two must be given: other forks
    derive the weights from class frequencies if neither is, which is not supported.
    """

    tops = (1, 2)
    no_gradient = (1, 2)

    def setup(self, x: Shape, labels: Shape, weights: Shape | None = None) -> list[Shape]:
        tops = super().setup(x, labels)
        if weights is not None and count(weights) != count(labels):
            raise self.error(
                f"{self.bottom(2)} has shape {list(weights)} and {self.bottom(1)} {list(labels)}; give each label one "
                "weight."
            )
        self.listed = self._by_class()
        if weights is None and not self.config.softmax_param.pos_mult:
            raise self.error(
                "it has no weights: give it softmax_param { pos_cid: 1 pos_mult: 2 }, or a third bottom with one for "
                "each label. Class weights computed from class frequencies, as in some forks, are not supported."
            )
        return tops

    def _by_class(self) -> np.ndarray:
        p = self.config.softmax_param
        weights, classes = list(p.pos_mult), list(p.pos_cid) or [1]
        if (weights or p.pos_cid) and len(weights) != len(classes):
            raise self.error(f"{len(p.pos_mult)} pos_mult and {len(p.pos_cid)} pos_cid; give each class its weight.")
        w = np.ones(self.classes, np.float32)
        for weight, each in zip(weights, classes, strict=False):
            if not 0 <= each < self.classes:
                raise self.error(f"pos_cid is {each}, and its classes are 0 to {self.classes - 1}.")
            w[each] = weight
        return w


@layer("InfogainLoss")
class InfogainLoss(_SoftmaxLoss):
    """−Σ Σ_c H[label, c] · log softmax(x)[c] / normalizer. An optional second top: the softmax itself, of x's shape.

    H (C, C) is the third bottom, or is read from `source`, a binary BlobProto. The identity gives SoftmaxWithLoss.
    """

    no_gradient = (1, 2)

    def setup(self, x: Shape, labels: Shape, infogain: Shape | None = None) -> list[Shape]:
        p = self.config.infogain_loss_param
        if self.config.loss_param.HasField("normalize"):
            raise self.error("it has no normalize: use normalization: VALID for true, BATCH_SIZE for false.")
        tops = self.match_scores(x, labels, p.axis)
        self.matrix = None
        if infogain is None:
            self.matrix = self._read(p)
            self._check(f'"{p.source}"', self.matrix.shape)
        else:
            self._check(self.bottom(2), infogain)
        return tops

    def _read(self, p: pb.InfogainLossParameter) -> np.ndarray:
        if not p.source:
            raise self.error("it needs its matrix: as a third bottom, or from infogain_loss_param { source }.")
        try:
            return binary.to_array(binary.read(paths.resolve(p.source, self.node.origin.path), pb.BlobProto))
        except EngineError as e:
            raise self.error(str(e)) from e

    def _check(self, where: str, shape: Shape) -> None:
        if count(shape) != self.classes**2:
            raise self.error(f"the matrix of {where} has shape {list(shape)}; {self.classes}×{self.classes} is needed.")

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        rows, ids, valid = self.aligned(*bottoms[:2])
        h = jax.lax.stop_gradient(bottoms[2] if self.matrix is None else jnp.asarray(self.matrix, rows.dtype))
        gains = jnp.take(h.reshape(self.classes, self.classes), ids, axis=0, mode="clip")
        log_p = jax.nn.log_softmax(rows, axis=1)
        terms = gains.swapaxes(1, 2) * floored(log_p, float(np.log(LOG_THRESHOLD)))
        return self.normalized(-jnp.sum(jnp.where(valid[:, None], terms, 0)), valid, log_p, bottoms[0].shape)


@layer("MultinomialLogisticLoss")
class MultinomialLogisticLoss(_RowLoss):
    """−Σ log x[label] / N, for probabilities x (N, C)."""

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        rows, ids, _ = self.aligned(*bottoms)
        log_p = jnp.log(floored(self.of_label(rows, ids), LOG_THRESHOLD))
        return [no_minus_zero(-jnp.sum(log_p) / max(1, self.outer))]


@layer("HingeLoss")
class HingeLoss(_RowLoss):
    """Σ max(0, 1 − δ x)^p / N for scores x (N, C); δ = 1 at the label, −1 elsewhere; p = 1 (L1) or 2 (L2)."""

    def setup(self, x: Shape, labels: Shape) -> list[Shape]:
        p = self.config.hinge_loss_param
        self.squared = p.norm == p.L2
        return super().setup(x, labels)

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        rows, ids, _ = self.aligned(*bottoms)
        delta = jnp.where(ids[:, None] == jnp.arange(self.classes)[:, None], 1, -1)
        missing = 1 - delta * rows
        missing = jnp.where(missing > 0, missing, 0)
        return [jnp.sum(jnp.square(missing) if self.squared else missing) / max(1, self.outer)]


@layer("FocalLoss")
class FocalLoss(_SoftmaxLoss):
    """−Σ alpha · (1 − p)^gamma · log p / normalizer, p = softmax(x)[label] (Lin et al. 2017). The second top: softmax.

    If `type` or `beta` is given, the term is that of happynear's fork: (alpha − p)^gamma · log p, or with ONEADDP
    (alpha + p)^gamma · log p, where alpha is 1 by default. The derivative of the focus f, which is that power, by p is
    ∓gamma · f / max(1 ∓ p, 10⁻¹⁰), as in both forks: happynear's uses 1 there whatever alpha is, and it stays finite
    where p is 1.
    """

    def setup(self, x: Shape, labels: Shape) -> list[Shape]:
        p = self.config.focal_loss_param
        self.gamma = predictions.focus(self.node)
        self.outside, self.inside, self.sign = p.alpha, 1.0, -1
        if p.HasField("type") or p.HasField("beta"):
            self.outside, self.inside = 1.0, p.alpha if p.HasField("alpha") else 1.0
            self.sign = 1 if p.type == p.ONEADDP else -1
        return self.match_scores(x, labels, p.axis)

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        rows, ids, valid = self.aligned(*bottoms)
        log_p = jax.nn.log_softmax(rows, axis=1)
        log_likelihood = floored(self.of_label(log_p, ids), LOG_FLT_MIN)
        focus = stop_gradient((self.inside + self.sign * jnp.exp(log_likelihood)) ** self.gamma)
        slope = self.sign * self.gamma * focus / jnp.maximum(1 + self.sign * jnp.exp(log_likelihood), FOCUS_FLOOR)
        by_log_p = stop_gradient(focus + slope * jnp.exp(log_likelihood) * log_likelihood)
        losses = jnp.where(
            valid, -self.outside * with_gradient_of(focus * log_likelihood, by_log_p * log_likelihood), 0
        )
        return self.normalized(jnp.sum(losses), valid, log_p, bottoms[0].shape)
