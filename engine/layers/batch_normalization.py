"""Batch normalisation with a built-in scale and shift: PSPNet's and SegNet's BN, NVIDIA's BatchNorm, CuDNNBatchNorm."""

import jax.numpy as jnp
from jax.lax import stop_gradient

from engine.graph import fits, normalized
from engine.layers.base import Array, Arrays, Context, Layer, Precision, Shape
from engine.layers.registry import layer
from engine.ops.batch_norm import Normalized, normalize_batch
from engine.ops.replaced_gradient import with_gradient_of
from engine.proto import caffe_pb2 as pb

SEGNET_EPS = 1e-9


class _Scaled(Layer):
    """y = scale · (x − μ) / √(σ² + eps) + shift, all per channel."""

    precision: Precision = "mixed"
    eps: float

    def read_channels(self, x: Shape) -> Shape:
        """Stores and returns the shape in which per-channel values broadcast against x: 1 except for the channels."""
        fits.channels(self.node, x)
        self.broad = tuple(d if axis == 1 else 1 for axis, d in enumerate(x))
        return self.broad

    def by_batch(self, x: Array, scale: Array, shift: Array) -> Normalized:
        """Returns y, computed with the batch's own μ and σ², and these two (C), which have no gradient."""
        return normalize_batch(x, scale.ravel(), shift.ravel(), self.eps, False)

    def by_averages(self, x: Array, mean: Array, variance: Array, scale: Array, shift: Array) -> Array:
        mean, variance, scale, shift = (v.reshape(self.broad) for v in (mean, variance, scale, shift))
        return (x - mean) / jnp.sqrt(variance + self.eps) * scale + shift

    def state(self, name: str, shape: Shape, start: float = 0) -> int:
        """Declares a running statistic with the initial value `start`."""
        return self.param(name, shape, pb.FillerParameter(), default=start, learned=False)


@layer("BN")
class BN(_Scaled):
    """`_Scaled` with the batch's μ and σ², or, in TEST and if `frozen`, the running averages (PSPNet, yjxiong's).

    Params, of shape (1, C, 1, 1): slope, bias, running μ and running σ². At each iteration, the running statistics keep
    `momentum` of their previous values. If frozen, slope and bias get no gradient. Otherwise, in TEST, the gradient of
    x is that for batch statistics, with the running ones in their place. Both are as in the fork.
    Bottom: x (N, C, H, W). Top: y, of x's shape.
    """

    def setup(self, x: Shape) -> list[Shape]:
        p = self.config.bn_param
        self.read_channels(x)
        shape = (1, x[1], 1, 1)
        self.eps, self.momentum, self.frozen = p.eps, p.momentum, p.frozen
        self.running = p.frozen or self.phase == pb.TEST
        self.slope, self.bias = self.param("slope", shape, p.slope_filler), self.param("bias", shape, p.bias_filler)
        self.mean, self.variance = self.state("mean", shape), self.state("variance", shape, float(p.frozen))
        return [x]

    def apply(self, params: Arrays, bottoms: Arrays, ctx: Context) -> tuple[list[Array], dict[int, Array]]:
        (x,) = bottoms
        slope, bias = params[self.slope], params[self.bias]
        if self.frozen:
            slope, bias = stop_gradient(slope), stop_gradient(bias)
        if self.running:
            mean, variance = params[self.mean], params[self.variance]
            y = self.by_averages(x if self.frozen else stop_gradient(x), mean, variance, slope, bias)
            return [y if self.frozen else y + self.pull(x, mean, variance, slope)], {}
        batch = self.by_batch(x, slope, bias)
        updates = {
            i: self.momentum * params[i] + (1 - self.momentum) * v.reshape(params[i].shape)
            for i, v in ((self.mean, batch.mean), (self.variance, batch.variance))
        }
        return [batch.y], updates

    def pull(self, x: Array, mean: Array, variance: Array, slope: Array) -> Array:
        """0 with a gradient of x: scale / σ · (dy − mean(dy) − x̂ · mean(x̂ · dy)), with x̂ from the given μ and σ."""
        axes = tuple(axis for axis in range(x.ndim) if axis != 1)
        deviation = jnp.sqrt(variance.reshape(self.broad) + self.eps)
        x_hat = stop_gradient(x - mean.reshape(self.broad)) / deviation
        z = x - jnp.mean(x, axes, keepdims=True) - x_hat * jnp.mean(x * x_hat, axes, keepdims=True)
        return with_gradient_of(jnp.zeros_like(x), stop_gradient(slope.reshape(self.broad) / deviation) * z)


@layer("BN", when=normalized.of_segnet)
class SegNetBN(_Scaled):
    """LEARN: `_Scaled` with the batch's μ and σ², even in TEST. INFERENCE: y = scale · x + shift (SegNet, ENet).

    Params, of shape (1, C, 1, 1): scale, shift. Bottom: x (N, C, H, W). Tops: y, of x's shape, extended to at least 4
    axes; and for LEARN, optionally, the batch's μ and σ² (1, C, 1, 1), which have no gradient.
    """

    tops = (1, 3)
    eps = SEGNET_EPS

    def setup(self, x: Shape) -> list[Shape]:
        p, tops = self.config.bn_param, normalized.by_batch(self.node, x)
        self.read_channels(normalized.of_four_axes(x))
        self.learns = p.bn_mode == p.LEARN
        if len(self.config.top) > 1:
            self.precision = "float32"  # because scripts accumulate μ and σ² over many batches
        shape = (1, x[1], 1, 1)
        self.scale, self.shift = self.param("scale", shape, p.scale_filler), self.param("shift", shape, p.shift_filler)
        return tops

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        x = bottoms[0].reshape(self.top_shapes[0])
        scale, shift = params[self.scale], params[self.shift]
        if not self.learns:
            return [x * scale.reshape(self.broad) + shift.reshape(self.broad)]
        batch = self.by_batch(x, scale, shift)
        return [batch.y, *(v.reshape(scale.shape) for v in batch[1:])][: len(self.top_shapes)]


@layer("BatchNorm", when=lambda config: normalized.of_nvidia(config.batch_norm_param))
class NVIDIABatchNorm(_Scaled):
    """`_Scaled` with the batch's μ and σ², or, with `use_global_stats` (TEST's default), their averages (NVIDIA 0.15).

    Params: scale, bias, average of μ, average of σ² (C), and the number of iterations averaged (1). In the first two
    iterations the averages are the batch's own values; from the third on they keep `moving_average_fraction` of their
    previous values.
    Bottom: x (N, C, …). Top: y, of x's shape.
    """

    def setup(self, x: Shape) -> list[Shape]:
        p = self.config.batch_norm_param
        self.read_channels(x)
        channels = (x[1],)
        self.eps, self.decay = p.eps, p.moving_average_fraction
        self.global_stats = p.use_global_stats if p.HasField("use_global_stats") else self.phase == pb.TEST
        self.scale = self.param("scale", channels, p.scale_filler, default=1.0)
        self.bias = self.param("bias", channels, p.bias_filler)
        self.mean, self.variance = self.state("mean", channels), self.state("variance", channels)
        self.iterations = self.state("number of iterations", (1,))
        return [x]

    def apply(self, params: Arrays, bottoms: Arrays, ctx: Context) -> tuple[list[Array], dict[int, Array]]:
        (x,) = bottoms
        scale, bias = params[self.scale], params[self.bias]
        if self.global_stats:
            return [self.by_averages(x, params[self.mean], params[self.variance], scale, bias)], {}
        batch = self.by_batch(x, scale, bias)
        decay = jnp.where(params[self.iterations][0] > 1, self.decay, 0)
        updates = {
            i: decay * params[i] + (1 - decay) * v
            for i, v in ((self.mean, batch.mean), (self.variance, batch.variance))
        }
        updates[self.iterations] = params[self.iterations] + 1
        return [batch.y], updates


@layer("CuDNNBatchNorm")
class CuDNNBatchNorm(_Scaled):
    """`_Scaled` with the batch's μ and σ², or, in TEST and if `frozen`, the running ones (GENet's).

    Params, of shape (1, C, 1, 1): scale, bias, running μ and running σ² · m/(m − 1), with m values per channel. The
    running statistics keep `momentum` of their previous values. If frozen, scale and bias are not learned. eps is at
    least 10⁻⁵, as in cuDNN.
    Bottom: x (N, C, H, W). Top: y, of x's shape.
    """

    def setup(self, x: Shape) -> list[Shape]:
        p = self.config.cudnn_batch_norm_param
        self.read_channels(x)
        shape = (1, x[1], 1, 1)
        self.eps, self.momentum = max(p.eps, 1e-5), p.momentum
        self.running = p.frozen or self.phase == pb.TEST
        self.scale = self.param("scale", shape, p.scale_filler, learned=not p.frozen)
        self.bias = self.param("bias", shape, p.bias_filler, learned=not p.frozen)
        self.mean, self.variance = self.state("mean", shape), self.state("variance", shape, float(p.frozen))
        return [x]

    def apply(self, params: Arrays, bottoms: Arrays, ctx: Context) -> tuple[list[Array], dict[int, Array]]:
        (x,) = bottoms
        scale, bias, mean, variance = (params[i] for i in (self.scale, self.bias, self.mean, self.variance))
        if self.running:
            return [self.by_averages(x, mean, variance, scale, bias)], {}
        batch = self.by_batch(x, scale, bias)
        m = x.size // max(1, x.shape[1])
        unbiased = m / (m - 1) if m > 1 else 1
        updates = {
            self.mean: self.momentum * mean + (1 - self.momentum) * batch.mean.reshape(mean.shape),
            self.variance: self.momentum * variance
            + (1 - self.momentum) * unbiased * batch.variance.reshape(variance.shape),
        }
        return [batch.y], updates
