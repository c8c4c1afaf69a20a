"""Element-wise functions that draw random numbers in TRAIN: Dropout and its variants, and Insanity's slopes."""

import math

import jax
import jax.numpy as jnp

from engine.graph import same_shape
from engine.layers.activation import Activation
from engine.layers.base import Array, Arrays, Context, Shape
from engine.layers.registry import layer
from engine.proto import caffe_pb2 as pb


@layer("Dropout")
class Dropout(Activation):
    """y = x in TEST; in TRAIN, y = 0 with probability dropout_ratio, else x / (1 − dropout_ratio) (Hinton et al. 2012).

    With `scale_train: false` (Faster R-CNN), TRAIN does not scale, and TEST multiplies by 1 − dropout_ratio instead.
    With `sample_weights_test` (Bayesian SegNet), TEST draws as TRAIN does.
    """

    precision = "mixed"

    def setup(self, x: Shape) -> list[Shape]:
        p = self.config.dropout_param
        self.ratio, self.scales = p.dropout_ratio, p.scale_train
        self.draws = self.phase == pb.TRAIN or p.sample_weights_test
        self.mask_shape = x
        same_shape.check(self.node, x)
        return [x]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        (x,) = bottoms
        if not self.draws:
            return [x if self.scales else x * (1 - self.ratio)]
        kept = jax.random.bernoulli(ctx.key, 1 - self.ratio, self.mask_shape)
        return [jnp.where(kept, x / (1 - self.ratio) if self.scales else x, 0)]


@layer("SpatialDropout")
class SpatialDropout(Dropout):
    """Dropout that drops whole channels of an item at once (Tompson et al. 2015; ENet)."""

    def setup(self, x: Shape) -> list[Shape]:
        tops = super().setup(x)
        self.mask_shape = (*x[:2], *[1] * (len(x) - 2))
        return tops


@layer("SeLuDropout")
class SeLuDropout(Activation):
    """y = x in TEST; in TRAIN, a · α + b with probability dropout_ratio, else a · x + b (Klambauer et al. 2017, §3).

    With q = 1 − dropout_ratio, a = (q + α² q (1 − q))^−½ and b = −a (1 − q) α, which preserve mean 0 and variance 1.
    """

    def setup(self, x: Shape) -> list[Shape]:
        p = self.config.selu_dropout_param
        if not 0 < p.dropout_ratio < 1:
            raise self.error(f"dropout_ratio {p.dropout_ratio:g} is not a probability between 0 and 1.")
        self.kept, self.alpha = 1 - p.dropout_ratio, p.alpha
        self.scale = (self.kept * (1 + p.alpha**2 * p.dropout_ratio)) ** -0.5
        return [x]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        (x,) = bottoms
        if self.phase == pb.TEST:
            return [x]
        kept = jax.random.bernoulli(ctx.key, self.kept, x.shape)
        return [self.scale * (jnp.where(kept, x, self.alpha) - (1 - self.kept) * self.alpha)]


@layer("Insanity")
class Insanity(Activation):
    """y = max(x, 0) + min(x, 0) / a, with a drawn between lb and ub for each value; in TEST, (ub − lb) / ln(ub / lb).

    The randomized leaky ReLU (Xu et al. 2015; caffe-windows). The gradient at 0 is 1 / a.
    """

    def setup(self, x: Shape) -> list[Shape]:
        p = self.config.insanity_param
        if not p.lb < p.ub or not p.lb or not p.ub or math.isinf(p.ub - p.lb):
            raise self.error(f"lb is {p.lb:g} and ub {p.ub:g}; lb must be below ub, and neither may be 0 or infinite.")
        logarithm = math.log(abs(p.ub)) - math.log(abs(p.lb))
        self.bounds, self.mean = (p.lb, p.ub), (p.ub - p.lb) / logarithm if logarithm else math.inf
        return [x]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        (x,) = bottoms
        low, high = self.bounds
        drawn = self.phase == pb.TRAIN
        a = jax.random.uniform(ctx.key, x.shape, x.dtype, low, high) if drawn else self.mean
        return [jnp.where(x > 0, x, x / a)]
