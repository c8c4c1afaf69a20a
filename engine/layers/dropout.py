"""Element-wise functions that draw random numbers: Dropout and its variants, Insanity's slopes, Noise."""

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
        mask = jax.random.bernoulli(ctx.key, 1 - self.ratio, self.mask_shape)
        return [jnp.where(mask, x / (1 - self.ratio) if self.scales else x, 0)]


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
        self.keep_probability, self.alpha = 1 - p.dropout_ratio, p.alpha
        self.scale = (self.keep_probability * (1 + p.alpha**2 * p.dropout_ratio)) ** -0.5
        return [x]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        (x,) = bottoms
        if self.phase == pb.TEST:
            return [x]
        mask = jax.random.bernoulli(ctx.key, self.keep_probability, x.shape)
        return [self.scale * (jnp.where(mask, x, self.alpha) - (1 - self.keep_probability) * self.alpha)]


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


@layer("Noise")
class Noise(Activation):
    """y = x in TEST; in TRAIN, y = x + n with n drawn for each value from N(bias, gaussian_std²) or, without
    gaussian_std, from bias ± uniform_range (caffe-windows)."""

    def setup(self, x: Shape) -> list[Shape]:
        p = self.config.noise_param
        if not (p.HasField("gaussian_std") or p.HasField("uniform_range")):
            raise self.error("noise_param needs gaussian_std or uniform_range.")
        self.normal, self.mean = p.HasField("gaussian_std"), p.bias
        self.spread = p.gaussian_std if self.normal else p.uniform_range
        if self.spread < 0:
            raise self.error(
                f"gaussian_std is {p.gaussian_std:g} and uniform_range {p.uniform_range:g}; give no less than 0."
            )
        return [x]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        (x,) = bottoms
        if self.phase == pb.TEST:
            return [x]
        if self.normal:
            return [x + (self.mean + self.spread * jax.random.normal(ctx.key, x.shape, x.dtype))]
        return [x + jax.random.uniform(ctx.key, x.shape, x.dtype, self.mean - self.spread, self.mean + self.spread)]


@layer("Noise", when=lambda config: config.noise_param.HasField("filler_param"))
class FilledNoise(Activation):
    """y = x + n in both phases, with n drawn for each value (DeepDenoising).

    filler_param's type is gaussian, with its mean and a standard deviation that each pass picks from `std`, or uniform,
    from min to max.
    """

    def setup(self, x: Shape) -> list[Shape]:
        p = self.config.noise_param
        if p.filler_param.type not in ("gaussian", "uniform"):
            raise self.error(f'the noise is of type "{p.filler_param.type}"; it must be gaussian or uniform.')
        if not p.std or min(p.std) < 0:
            raise self.error("noise_param needs one std or more, of 0 or more.")
        self.filler, self.deviations = p.filler_param, tuple(p.std)
        return [x]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        (x,) = bottoms
        f = self.filler
        if f.type == "uniform":
            return [x + jax.random.uniform(ctx.key, x.shape, x.dtype, f.min, f.max)]
        picks, draws = jax.random.split(ctx.key)
        deviation = jnp.array(self.deviations, x.dtype)[jax.random.randint(picks, (), 0, len(self.deviations))]
        return [x + (f.mean + deviation * jax.random.normal(draws, x.shape, x.dtype))]
