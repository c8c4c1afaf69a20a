"""Metric learning, where similar items get features that lie close together: CenterLoss, TripletLoss and others."""

import jax
import jax.numpy as jnp
from jax.lax import stop_gradient

from engine.graph import normalized
from engine.layers.base import Array, Arrays, Context, Layer, Shape, count, rows
from engine.layers.loss import Labelled, Loss
from engine.layers.registry import layer
from engine.ops.ctc import NEVER
from engine.ops.picked_rows import sums
from engine.ops.replaced_gradient import unweighted, with_gradient_of
from engine.proto import caffe_pb2 as pb


@layer("CenterLoss")
class CenterLoss(Labelled):
    """Σ |x − c|² / 2N, c the center of x's class (Wen et al. 2016); with distance_type "L1", Σ |x − c|₁ / N.

    The loss weight is 0 unless loss_weight is given. The gradient of a center does not depend on loss_weight: it is
    Σ (c − x) / (1 + n) over the n items of its class, or n times that if distance_type is given, as in happynear's
    fork.
    Bottoms: x (N, …), labels. Param: the centers (num_output, K), with K values per item from `axis` on.
    """

    def setup(self, x: Shape, labels: Shape) -> list[Shape]:
        p = self.config.center_loss_param
        if not p.num_output:
            raise self.error("center_loss_param needs num_output of 1 or more: the number of classes.")
        if p.distance_type not in ("L1", "L2"):
            raise self.error(f'distance_type is "{p.distance_type}"; it must be "L1" or "L2".')
        axis = self.canonical_axis(p.axis, x)
        if axis != 1:
            raise self.error(f"axis is {p.axis}, of {len(x)} axes; it must be 1, the axis after the batch.")
        self.absolute = p.distance_type == "L1"
        self.match((x[0], p.num_output), labels, 1)
        self.centers = self.param("center", (p.num_output, count(x[1:])), p.center_filler)
        return [()]

    def propagates_to(self, bottom: int) -> bool:
        return bottom == 0

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        x, labels = bottoms
        centers, ids = params[self.centers], labels.reshape(-1).astype(jnp.int32)
        d = rows(x) - stop_gradient(centers)[ids]
        total = jnp.sum(jnp.abs(d)) if self.absolute else jnp.sum(jnp.square(d)) / 2
        away = -stop_gradient(jnp.sign(d) if self.absolute else d)
        summed = sums(jnp.concatenate([away, jnp.ones((len(away), 1), away.dtype)], 1), ids, len(centers))
        items = summed[:, -1:]
        times = items if self.config.center_loss_param.HasField("distance_type") else 1
        pull = jnp.sum(centers * (summed[:, :-1] * times / (1 + items)))
        return [total / max(1, x.shape[0]) + unweighted(jnp.zeros_like(total), pull)]


@layer("TripletLoss")
class TripletLoss(Loss):
    """Σ max(0, margin + |a − p|² − |a − n|²) / 2N (Schroff et al. 2015).

    Bottoms: anchors a, positives p of the same class, and negatives n of another class; N of each, with equally many
    values.
    """

    bottoms = (3, 3)

    def setup(self, a: Shape, p: Shape, n: Shape) -> list[Shape]:
        self.check_items(a, p, n)
        for i, shape in enumerate((p, n), 1):
            if count(shape) != count(a):
                raise self.error(
                    f"{self.bottom(0)} has shape {list(a)} and {self.bottom(i)} {list(shape)}; "
                    "they must have equally many values."
                )
        self.margin = self.config.triplet_loss_param.margin
        return [()]

    def propagates_to(self, bottom: int) -> bool:
        return True

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        a, p, n = map(rows, bottoms)
        apart = jnp.sum(jnp.square(a - p), axis=1) - jnp.sum(jnp.square(a - n), axis=1)
        violated = self.margin + apart
        return [jnp.sum(jnp.where(violated > 0, violated, 0)) / (2 * max(1, a.shape[0]))]


@layer("LiftedStructSimilaritySoftmaxLoss")
class LiftedStructSimilaritySoftmaxLoss(Loss):
    """Σ max(0, J)² / 2P over the P pairs i < j with the same label (Oh Song et al. 2016), 0 if there are none.

    J = d_ij + ln(Σ exp(margin − d_ik) + Σ exp(margin − d_jk)), the sums over the items k with other labels, where
    d_ij = |x_i − x_j|. The gradient of a distance of 0 is 0. Bottoms: x (N, …), labels (N).
    """

    def setup(self, x: Shape, labels: Shape) -> list[Shape]:
        self.check_items(x, labels)
        if count(labels) != x[0]:
            raise self.error(f"{self.bottom(1)} has shape {list(labels)}; it must hold one label an item.")
        self.margin = self.config.lifted_struct_sim_softmax_loss_param.margin
        return [()]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        x, labels = bottoms[0].reshape(bottoms[0].shape[0], -1), stop_gradient(bottoms[1]).reshape(-1)
        squares = jnp.sum(jnp.square(x), axis=1)
        inner = jnp.matmul(x, x.T, precision=jax.lax.Precision.HIGHEST)
        apart = squares[:, None] + squares - 2 * inner
        d = jnp.where(apart > 0, jnp.sqrt(jnp.where(apart > 0, apart, 1)), 0)
        same = labels[:, None] == labels
        pairs = same & (jnp.arange(len(x))[:, None] < jnp.arange(len(x)))
        others = jax.nn.logsumexp(jnp.where(same, NEVER, self.margin - d), axis=1)
        hinge = jnp.maximum(d + jnp.logaddexp(others[:, None], others), 0)
        return [jnp.sum(jnp.where(pairs, jnp.square(hinge), 0)) / (2 * jnp.maximum(jnp.sum(pairs), 1))]


@layer("LabelSpecificAdd")
class LabelSpecificAdd(Labelled):
    """y = x, plus `bias` at an item's own class where x > −bias, in TRAIN; y = x in TEST (AM-Softmax).

    The gradient passes to x unchanged. With bias_base, bias is bias_base + (1 + bias_gamma · i)^bias_power − 1, where i
    counts passes, starting from `iteration`; it is clipped to bias_min … bias_max. An optional second top (1): bias, or
    0 in TEST.
    Bottoms: x (N, …), labels.
    """

    tops = (1, 2)

    def setup(self, x: Shape, labels: Shape) -> list[Shape]:
        p = self.config.label_specific_add_param
        if not x:
            raise self.error(f"{self.bottom(0)} is a scalar; its first axis must be the batch.")
        self.match((x[0], count(x[1:])), labels, 1)
        self.bias, self.changes = p.bias, p.HasField("bias_base") and self.phase == pb.TRAIN
        self.base, self.gamma, self.power, self.iteration = p.bias_base, p.bias_gamma, p.bias_power, float(p.iteration)
        self.least, self.most = p.bias_min, p.bias_max
        if self.changes:
            self.remember("number of passes", (1,))
        return [x, (1,)][: len(self.config.top)]

    def propagates_to(self, bottom: int) -> bool:
        return bottom == 0

    def apply(self, params: Arrays, bottoms: Arrays, ctx: Context) -> tuple[list[Array], dict[int, Array]]:
        x, labels = bottoms
        if self.phase == pb.TEST:
            return [x, jnp.zeros(1)][: len(self.top_shapes)], {}
        bias, updates = jnp.full(1, self.bias), {}
        if self.changes:
            (passes,) = params
            bias = self.base + (1 + self.gamma * (self.iteration + passes)) ** self.power - 1
            bias, updates = jnp.minimum(jnp.maximum(bias, self.least), self.most), {0: passes + 1}
        scores = rows(x)
        own = jax.nn.one_hot(labels.reshape(-1).astype(jnp.int32), scores.shape[1], dtype=bool)
        added = stop_gradient(jnp.where(own & (scores > -bias), bias, 0))
        return [(scores + added).reshape(x.shape), stop_gradient(bias)][: len(self.top_shapes)], updates


@layer("Normalize", when=normalized.of_faces)
class FaceNormalize(Layer):
    """y = x / norm with norm = √(Σ x² + 10⁻⁶), or Σ |x| + 10⁻⁶ for normalize_type "L1"; the sums go over the channels.

    An optional second top (N, 1, H, W): norm, which has a gradient only with `bp_norm`.
    Bottom: x (N, C, H, W); trailing axes may be missing. Top: y (N, C, H, W).
    """

    tops = (1, 2)

    def setup(self, x: Shape) -> list[Shape]:
        p = self.config.normalize_param
        self.absolute, self.bp_norm = p.normalize_type == "L1", p.bp_norm
        self.shape, *_ = tops = normalized.to_length(self.node, x)
        return tops

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        x = bottoms[0].reshape(self.shape)
        total = jnp.sum(jnp.abs(x) if self.absolute else jnp.square(x), axis=1, keepdims=True) + 1e-6
        norm = total if self.absolute else jnp.sqrt(total)
        return [x / norm, norm if self.bp_norm else stop_gradient(norm)][: len(self.top_shapes)]


@layer("ChannelScale")
class ChannelScale(Layer):
    """y = s · x with one s per position, shared by its channels (NormFace, AM-Softmax); y = x with `do_forward: false`.

    The gradient of x is s · dy, or dy without do_backward_feature; that of s is Σ x · dy over the channels, or 0
    without do_backward_scale. Bottoms: x (N, C, …); s, one value for each position of x. Top: y, of x's shape.
    """

    bottoms = (2, 2)

    def setup(self, x: Shape, scale: Shape) -> list[Shape]:
        if len(x) < 2 or count(scale) * x[1] != count(x):
            raise self.error(
                f"{self.bottom(0)} has shape {list(x)} and {self.bottom(1)} {list(scale)}; the second needs one value "
                "for each position of (N, C, …), shared by its channels."
            )
        return [x]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        p, x = self.config.channel_scale_param, bottoms[0]
        scale = bottoms[1].reshape(x.shape[0], 1, *x.shape[2:])
        to_x = x * stop_gradient(scale) if p.do_backward_feature else x
        to_scale = stop_gradient(x) * scale if p.do_backward_scale else 0
        return [with_gradient_of(x * scale if p.do_forward else x, to_x + to_scale)]
