"""Element-wise functions: y = f(x), of x's shape. At a kink, the gradient is the one-sided one that Caffe uses."""

import logging
import math
from functools import partial
from typing import Protocol

import jax
import jax.numpy as jnp

from engine.graph import same_shape
from engine.layers.base import Array, Arrays, Context, Layer, Shape, along
from engine.layers.registry import layer
from engine.ops.rectifier import rectified

log = logging.getLogger(__name__)


class Activation(Layer):
    """One bottom, one top of the same shape; may be computed in place."""

    def setup(self, x: Shape) -> list[Shape]:
        return [x]


@layer("ReLU")
class ReLU(Activation):
    """y = max(x, 0) + negative_slope · min(x, 0). The gradient at 0 is negative_slope."""

    precision = "given"

    def setup(self, x: Shape) -> list[Shape]:
        self.negative_slope = self.config.relu_param.negative_slope
        self.rectifies = self.negative_slope == 0
        return [x]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        (x,) = bottoms
        if self.negative_slope < 0:
            return [jnp.where(x > 0, x, self.negative_slope * x)]
        return [rectified(x, self.negative_slope)]


@layer("ReLU6")
class ReLU6(Activation):
    """y = min(x, 6) for x > 0, else negative_slope · x. The gradient at 0 is negative_slope; at 6 it is 0.

    From chuanqi305's SSD; the slope is from MobileNet-YOLO.
    """

    precision = "given"

    def setup(self, x: Shape) -> list[Shape]:
        self.negative_slope = self.config.relu6_param.negative_slope
        return [x]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        (x,) = bottoms
        return [jnp.where(x > 0, jnp.where(x < 6, x, 6), self.negative_slope * x)]


@layer("NegReLU")
class NegReLU(Activation):
    """y = min(x, 0) + negative_slope · max(x, 0), with the slope in relu_param (FlowNet 2.0). The gradient at 0 is
    negative_slope."""

    precision = "given"

    def setup(self, x: Shape) -> list[Shape]:
        self.slope = self.config.relu_param.negative_slope
        return [x]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        (x,) = bottoms
        return [jnp.where(x < 0, x, self.slope * x)]


@layer("PReLU")
class PReLU(Layer):
    """y = max(x, 0) + a · min(x, 0) with learned a (He et al. 2015). The gradient at 0 is a.

    Bottom: x (d0, C, …). Param: a (C), or a scalar with `channel_shared`; 0.25 unless filled otherwise.
    """

    precision = "mixed"

    def setup(self, x: Shape) -> list[Shape]:
        p = self.config.prelu_param
        same_shape.check(self.node, x)
        self.slope = self.param("slope", () if p.channel_shared else (x[1],), p.filler, default=0.25)
        return [x]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        (x,) = bottoms
        a = along(params[self.slope], 1, x.ndim) if params[self.slope].ndim else params[self.slope]
        return [jnp.where(x > 0, x, a * x)]


@layer("ELU")
class ELU(Activation):
    """y = x for x > 0, else alpha · (eˣ − 1). The gradient at 0 is alpha (Clevert et al. 2015)."""

    precision = "mixed"

    def setup(self, x: Shape) -> list[Shape]:
        self.alpha = self.config.elu_param.alpha
        return [x]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        (x,) = bottoms
        below = jnp.expm1(jnp.where(x > 0, 0, x))
        return [jnp.where(x > 0, x, self.alpha * below)]


@layer("Sigmoid")
class Sigmoid(Activation):
    """y = 1 / (1 + e⁻ˣ)."""

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        return [jax.nn.sigmoid(bottoms[0])]


@layer("TanH")
class TanH(Activation):
    """y = tanh x."""

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        return [jnp.tanh(bottoms[0])]


@layer("Swish")
class Swish(Activation):
    """y = x · sigmoid(beta · x) (Ramachandran et al. 2017)."""

    precision = "mixed"

    def setup(self, x: Shape) -> list[Shape]:
        self.beta = self.config.swish_param.beta
        return [x]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        (x,) = bottoms
        return [x * jax.nn.sigmoid(self.beta * x)]


@layer("HardSwish")
class HardSwish(Activation):
    """y = x · min(max(x + 3, 0), 6) / 6 (Howard et al. 2019)."""

    precision = "mixed"

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        (x,) = bottoms
        return [x * jnp.clip(x + 3, 0, 6) / 6]


@layer("Mish")
class Mish(Activation):
    """y = x · tanh(log(1 + exp(x))) (Misra 2019)."""

    precision = "mixed"

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        (x,) = bottoms
        return [x * jnp.tanh(jax.nn.softplus(x))]


@layer("BNLL")
class BNLL(Activation):
    """y = log(1 + eˣ), the binomial normal log likelihood."""

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        return [jax.nn.softplus(bottoms[0])]


@layer("AbsVal")
class AbsVal(Activation):
    """y = |x|. The gradient at 0 is 0; that of jnp.abs would be 1."""

    def setup(self, x: Shape) -> list[Shape]:
        same_shape.check(self.node, x)
        return [x]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        (x,) = bottoms
        return [x * jnp.sign(x)]


@layer("Clip")
class Clip(Activation):
    """y = x clipped between min and max; if min > max, y = min. The gradient at both bounds is 1."""

    def setup(self, x: Shape) -> list[Shape]:
        p = self.config.clip_param
        same_shape.check(self.node, x)
        self.min, self.max = p.min, p.max
        return [x]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        (x,) = bottoms
        y = jnp.where(x > self.max, self.max, x)
        return [jnp.where(y < self.min, self.min, y)]


@layer("Threshold")
class Threshold(Activation):
    """y = 1 where x > threshold, else 0. It has no gradient."""

    def setup(self, x: Shape) -> list[Shape]:
        self.threshold = self.config.threshold_param.threshold
        return [x]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        (x,) = bottoms
        return [(x > self.threshold).astype(x.dtype)]


class _Based(Protocol):
    base: float


def _log_of_base(layer: Layer, p: _Based) -> float:
    """Returns ln base; a base of −1 stands for e. Raises LayerError if the base has no logarithm."""
    if p.base != -1 and not (p.base > 0 and math.isfinite(p.base)):
        raise layer.error(f"base is {p.base:g}; it must be above 0, or −1 for e.")
    return 1.0 if p.base == -1 else math.log(p.base)


@layer("Exp")
class Exp(Activation):
    """y = base^(shift + scale · x)."""

    def setup(self, x: Shape) -> list[Shape]:
        p = self.config.exp_param
        self.log_base = _log_of_base(self, p)
        self.scale, self.shift = p.scale, p.shift
        return [x]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        (x,) = bottoms
        return [jnp.exp(self.log_base * (self.shift + self.scale * x))]


@layer("Log")
class Log(Activation):
    """y = log(shift + scale · x) to the base `base`."""

    def setup(self, x: Shape) -> list[Shape]:
        p = self.config.log_param
        self.log_base = _log_of_base(self, p)
        if not self.log_base:
            raise self.error("base is 1; there are no logarithms to base 1.")
        self.scale, self.shift = p.scale, p.shift
        return [x]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        (x,) = bottoms
        return [jnp.log(self.shift + self.scale * x) / self.log_base]


@layer("Power")
class Power(Activation):
    """y = (shift + scale · x)^power. Computed in place, its gradient is Caffe's: see `_power_in_place`."""

    def setup(self, x: Shape) -> list[Shape]:
        p = self.config.power_param
        self.power, self.scale, self.shift = p.power, p.scale, p.shift
        self.constant = p.power == 0 or p.scale == 0  # a special case, as the derivative would be 0 · ∞
        self.in_place = self.config.top[0] == self.config.bottom[0]
        if self.in_place and not self.constant:
            log.warning("%s", self.error(IN_PLACE_POWER))
        return [x]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        (x,) = bottoms
        if self.constant:
            return [jnp.full_like(x, jnp.power(self.shift, self.power) if self.power else 1)]
        return [(_power_in_place if self.in_place else _power)(x, self.power, self.scale, self.shift)]


IN_PLACE_POWER = (
    "in place it overwrites the gradient of its top, as in Caffe, and passes down only the square of its own "
    "derivative. For the true gradient, give its top another name."
)


def _power(x: Array, power: float, scale: float, shift: float) -> Array:
    return jnp.power(shift + scale * x, int(power) if power.is_integer() else power)


@partial(jax.custom_vjp, nondiff_argnums=(1, 2, 3))
def _power_in_place(x: Array, power: float, scale: float, shift: float) -> Array:
    """`_power` with Caffe's gradient when bottom and top are one blob: (dy/dx)², taken at y instead of x.

    Caffe overwrites the gradient of the top with dy/dx and then multiplies the two. This reproduces nets trained so.
    """
    return _power(x, power, scale, shift)


def _power_in_place_fwd(x: Array, power: float, scale: float, shift: float) -> tuple[Array, Array]:
    y = _power(x, power, scale, shift)
    return y, y


def _power_in_place_bwd(power: float, scale: float, shift: float, y: Array, _: Array) -> tuple[Array]:
    inner = shift + scale * y
    slope = power * scale * (jnp.ones_like(y) if power == 1 else inner if power == 2 else y / inner)
    return (jnp.square(slope),)


_power_in_place.defvjp(_power_in_place_fwd, _power_in_place_bwd)


@layer("SeLu")
class SeLu(Activation):
    """y = λ x for x > 0, else λ α (eˣ − 1) (Klambauer et al. 2017; DeepDetect)."""

    precision = "mixed"

    def setup(self, x: Shape) -> list[Shape]:
        p = self.config.selu_param
        self.alpha, self.scale = p.alpha, getattr(p, "lambda")
        return [x]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        (x,) = bottoms
        return [self.scale * jnp.where(x > 0, x, self.alpha * jnp.expm1(jnp.where(x > 0, 0, x)))]
