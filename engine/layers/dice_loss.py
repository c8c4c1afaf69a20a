"""DiceCoefLoss: the overlap of predicted regions with the true ones (Milletari et al. 2016)."""

import jax.numpy as jnp
from jax.lax import stop_gradient

from engine.data.label_bounds import LabelBounds
from engine.graph import predictions
from engine.layers.base import Array, Arrays, Context, Shape
from engine.layers.loss import Loss
from engine.layers.registry import layer
from engine.ops.replaced_gradient import with_gradient_of
from engine.proto import caffe_pb2 as pb

Mode = pb.DiceCoefLossParameter
POWERS = {Mode.INVERSE_VOLUME: -2, Mode.EQUALIZE_CLASSES: -1, Mode.EXTRA_SMALL_VOLUMES: -3}


@layer("DiceCoefLoss")
class DiceCoefLoss(Loss):
    """1 − mean over the items of D = (2 Σ w x t + s) / (Σ w x² + Σ w t + s), t the one-hot labels (DeepDetect).

    The sums go over classes and positions. By default w = 1 and s = 1/N; MULTICLASS excludes the class ignore_label, if
    there are others. The weighted modes have s = 0 and w = (1 + n)^−2, where n is the number of positions of the class
    in the item, or with _BATCH the mean over the batch; weight_mode sets another power. For ignore_label, a million
    times the number of positions takes the place of the 1.
    The gradient is that of the sum over the items instead of the mean, and includes all classes.
    Bottoms: x (N, C, H, W), labels (N, 1, H, W).
    """

    def setup(self, x: Shape, labels: Shape) -> list[Shape]:
        p = self.config.dice_coef_loss_param
        predictions.one_a_place(self.node, x, labels)
        if p.contour_shape != p.NO or p.weights or p.generalization == p.MULTICLASS_WEIGHTED_ALL:
            raise self.error("contour_shape, weights and MULTICLASS_WEIGHTED_ALL are not supported; leave them out.")
        self.classes, self.mode = x[1], p.generalization
        unread = self.mode == p.NONE or (self.mode == p.MULTICLASS and self.classes == 1)
        self.ignore = -1 if unread else p.ignore_label
        if self.ignore >= self.classes:
            raise self.error(f"ignore_label is {p.ignore_label} and {self.bottom(0)} has {x[1]} classes.")
        self.power = POWERS[p.weight_mode] if self.mode >= p.MULTICLASS_WEIGHTED else 0
        self.smooth = 0.0 if self.power else 1 / max(1, x[0])
        return [()]

    def label_bounds(self) -> dict[int, LabelBounds]:
        return {1: LabelBounds(self.classes, layer=self.node.shown)}

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        scores = bottoms[0].reshape(*bottoms[0].shape[:2], -1)
        x = stop_gradient(scores)
        classes = jnp.arange(self.classes)[:, None]
        t = (jnp.round(bottoms[1].reshape(x.shape[0], 1, -1)).astype(jnp.int32) == classes).astype(x.dtype)
        ignored = classes == self.ignore
        w = self._weights(t, ignored) if self.power else jnp.ones_like(x)
        counted = w if self.power else jnp.where(ignored, 0, w)
        over = (1, 2)
        common = jnp.sum(2 * counted * x * t, over, keepdims=True) + self.smooth
        both = jnp.sum(counted * (x * x + t), over, keepdims=True) + self.smooth
        dice = common / both
        slopes = 2 * w * (x * dice - t) / both
        return [with_gradient_of(1 - jnp.mean(dice), jnp.sum(scores * stop_gradient(slopes)))]

    def _weights(self, t: Array, ignored: Array) -> Array:
        """Class weights (N, C, 1) from one-hot labels (N, C, positions)."""
        sizes = 1 + jnp.sum(t, axis=2, keepdims=True)
        sizes = jnp.where(ignored, sizes + 1e6 * t.shape[2] - 1, sizes)
        if self.mode == Mode.MULTICLASS_WEIGHTED_BATCH:
            sizes = jnp.broadcast_to(jnp.mean(sizes, axis=0), sizes.shape)
        return sizes ** float(self.power)
