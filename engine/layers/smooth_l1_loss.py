"""SmoothL1Loss of SSD, Fast R-CNN, Faster R-CNN and R-FCN: four layers, told apart by the configuration."""

import jax.numpy as jnp
from jax.lax import stop_gradient

from engine.layers.base import Array, Arrays, Context, Shape, count
from engine.layers.loss import Loss, normalization, normalizer
from engine.layers.registry import layer


def smooth_l1(d: Array, sigma: float = 1) -> Array:
    """σ² d² / 2 where |d| < 1 / σ², else |d| − 1 / 2σ² (Girshick 2015; σ from Ren et al. 2015)."""
    square = sigma * sigma
    return jnp.where(jnp.abs(d) < 1 / square, 0.5 * square * jnp.square(d), jnp.abs(d) - 0.5 / square)


def _weighted(d: Array, weights: Array) -> Array:
    """w · d with the derivative of d: the gradient of Fast R-CNN's layer ignores the weights."""
    return d + stop_gradient(weights * d - d)


@layer("SmoothL1Loss")
class SmoothL1Loss(Loss):
    """Σ f(a − b) / N, with f = `smooth_l1` (SSD). Bottoms: a and b, with N items of equally many values."""

    targets = (0, 1)

    def setup(self, *bottoms: Shape) -> list[Shape]:
        self.check_items(*bottoms)
        a = bottoms[0]
        for i, shape in enumerate(bottoms[1:], 1):
            if count(shape) != count(a):
                raise self.error(
                    f"{self.bottom(0)} has shape {list(a)} and {self.bottom(i)} {list(shape)}; "
                    "they must have equally many values."
                )
        return [()]

    def propagates_to(self, bottom: int) -> bool:
        return bottom < 2

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        a, b = bottoms
        return [jnp.sum(smooth_l1(a - b.reshape(a.shape))) / max(1, a.shape[0])]


@layer("SmoothL1Loss", when=lambda c: c.HasField("smooth_l1_loss_param") or len(c.bottom) == 4)
class FasterRCNNSmoothL1Loss(SmoothL1Loss):
    """Σ v · f(w · (a − b)) / N, with `sigma` in f (Faster R-CNN). The loss weight is 0 unless loss_weight is given.

    Bottoms: a, b and, optionally, the inside weights w and the outside weights v; all have equally many values.
    """

    loss = False
    bottoms = (2, 4)

    def setup(self, *bottoms: Shape) -> list[Shape]:
        if len(bottoms) == 3:
            raise self.error("it has 3 bottoms; give it both inside and outside weights, or neither.")
        self.sigma = self.config.smooth_l1_loss_param.sigma
        if not self.sigma:
            raise self.error("sigma is 0; it must not be, as the loss is quadratic up to 1 / sigma².")
        return super().setup(*bottoms)

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        a, b, *weights = (x.reshape(bottoms[0].shape) for x in bottoms)
        inside, outside = map(stop_gradient, weights) if weights else (1, 1)
        return [jnp.sum(outside * smooth_l1(inside * (a - b), self.sigma)) / max(1, a.shape[0])]


@layer("SmoothL1Loss", when=lambda c: c.loss_param.HasField("normalization") or len(c.top) == 2)
class RFCNSmoothL1Loss(SmoothL1Loss):
    """Σ f(w · (a − b)) / normalizer (R-FCN). The loss weight is 0 unless loss_weight is given.

    Bottoms: a and b (N, C, H, W) and, optionally, weights w of the same shape; the gradient ignores w. Tops: the loss
    and, optionally, the loss at each position (N, 1, H, W), without gradient. FULL and VALID divide by N · H · W.
    """

    loss = False
    bottoms = (2, 3)
    tops = (1, 2)

    def setup(self, *bottoms: Shape) -> list[Shape]:
        super().setup(*bottoms)
        if len(bottoms[0]) > 4:
            raise self.error(f"{self.bottom(0)} has shape {list(bottoms[0])}; it takes 4 axes at most.")
        p = self.config.loss_param
        self.normalization, self.fixed = normalization(p), p.pre_fixed_normalizer
        n, c, h, w = (*bottoms[0], 1, 1, 1)[:4]
        self.shape = n, c, h, w
        return [(), (n, 1, h, w)][: max(1, len(self.config.top))]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        a, b, *weights = (x.reshape(self.shape) for x in bottoms)
        errors = smooth_l1(_weighted(a - b, stop_gradient(weights[0])) if weights else a - b)
        places = errors.size // max(1, errors.shape[1])
        divisor = normalizer(self.normalization, errors.shape[0], places, places, self.fixed)
        each = stop_gradient(jnp.sum(errors, axis=1, keepdims=True))
        return [jnp.sum(errors) / divisor, each][: len(self.top_shapes)]


@layer("SmoothL1Loss", when=lambda c: len(c.bottom) == 3)
class FastRCNNSmoothL1Loss(SmoothL1Loss):
    """Σ f(w · (a − b)) / N; the gradient ignores w (Fast R-CNN). The loss weight is 0 unless loss_weight is given.

    Bottoms: a, b and w, with N items of equally many values.
    """

    loss = False
    bottoms = (3, 3)

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        a, b, w = (x.reshape(bottoms[0].shape) for x in bottoms)
        return [jnp.sum(smooth_l1(_weighted(a - b, stop_gradient(w)))) / max(1, a.shape[0])]


@layer("SmoothL1LossOHEM")
class SmoothL1LossOHEM(RFCNSmoothL1Loss):
    """The later name of R-FCN's SmoothL1Loss; its second top feeds BoxAnnotatorOHEM."""
