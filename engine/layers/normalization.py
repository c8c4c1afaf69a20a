"""Layers that normalise values: BatchNorm, MVN, LRN, Normalize, L2Norm, Softmax."""

import copy

import jax
import jax.numpy as jnp
from jax.lax import stop_gradient

from engine.graph import normalized, same_shape
from engine.layers.base import Array, Arrays, Context, Layer, Shape, along
from engine.layers.registry import layer
from engine.ops.batch_norm import normalize_batch
from engine.ops.lrn import normalize_across, normalize_within
from engine.proto import caffe_pb2 as pb


@layer("BatchNorm")
class BatchNorm(Layer):
    """y = (x − μ) / √(σ² + eps), per channel (Ioffe and Szegedy 2015); a Scale after it learns γ and β.

    μ and σ² are those of the batch, or with `use_global_stats` (the default in TEST) the running averages. With
    stats_batch_size (Intel's fork), each group of that many items is normalised as a batch of its own.
    Bottom: x (d0, C, …), or (d0), one channel. Top: y, of x's shape.
    Params, all state: Σ μ (C), Σ σ² · m/(m − 1) (C) and the number of terms (1), each decayed by
    `moving_average_fraction`, where m is the number of values per channel. The averages are the sums divided by the
    number of terms.
    """

    scale: int | None = None
    shift: int | None = None
    rectified = False
    """The parameters of a Scale, and whether there is a ReLU, joined to this layer; see `joined`."""
    precision = "mixed"

    def setup(self, x: Shape) -> list[Shape]:
        p = self.config.batch_norm_param
        same_shape.check(self.node, x)
        self.eps, self.decay = p.eps, p.moving_average_fraction
        self.global_stats = p.use_global_stats if p.HasField("use_global_stats") else self.phase == pb.TEST
        self.batches = 1
        if p.stats_batch_size and not self.global_stats:
            if x[0] % p.stats_batch_size:
                raise self.error(f"stats_batch_size {p.stats_batch_size} does not divide the {x[0]} items of a batch.")
            self.batches = x[0] // p.stats_batch_size
        channels = 1 if len(x) == 1 else x[1]
        none = pb.FillerParameter()
        self.mean = self.param("mean", (channels,), none, learned=False)
        self.variance = self.param("variance", (channels,), none, learned=False)
        self.terms = self.param("number of terms", (1,), none, learned=False)
        return [x]

    def joined(self, follower: Layer) -> Layer | None:
        """Joins a Scale and a ReLU if it uses the batch's statistics: computed separately, their gradients would read
        each blob several times more often than needed."""
        if self.global_stats or self.rectified or self.batches > 1:
            return None
        fused = copy.copy(self)
        fused.params = [*self.params, *follower.params]
        if follower.per_channel and self.scale is None:
            scale, shift = follower.per_channel
            fused.scale = len(self.params) + scale
            fused.shift = None if shift is None else len(self.params) + shift
        elif follower.rectifies:
            fused.rectified = True
        else:
            return None
        return fused

    def apply(self, params: Arrays, bottoms: Arrays, ctx: Context) -> tuple[list[Array], dict[int, Array]]:
        (x,) = bottoms
        if self.global_stats:
            n = params[self.terms][0]
            weight = jnp.where(n == 0, 0, 1 / jnp.where(n == 0, 1, n))
            mean, variance = weight * params[self.mean], weight * params[self.variance]
            return [self._normalize(x, mean, variance)], {}
        return self._by_groups(params, x) if self.batches > 1 else self._by_batch(params, x)

    def _by_batch(self, params: Arrays, x: Array) -> tuple[list[Array], dict[int, Array]]:
        scale, shift = (None if k is None else params[k] for k in (self.scale, self.shift))
        wide = x if x.ndim > 1 else x[:, None]
        y, mean, variance = normalize_batch(wide, scale, shift, self.eps, self.rectified)
        m = x.size // max(1, mean.size)
        unbiased = m / (m - 1) if m > 1 else 1
        updates = {
            self.mean: self.decay * params[self.mean] + mean,
            self.variance: self.decay * params[self.variance] + unbiased * variance,
            self.terms: self.decay * params[self.terms] + 1,
        }
        return [y.reshape(x.shape)], stop_gradient(updates)

    def _by_groups(self, params: Arrays, x: Array) -> tuple[list[Array], dict[int, Array]]:
        """Normalises the groups of items in x in turn, each updating the state that the one before left."""
        tops, state = [], dict(enumerate(params))
        for part in jnp.split(x, self.batches):
            (y,), updates = self._by_batch([state[i] for i in range(len(params))], part)
            tops.append(y)
            state |= updates
        return [jnp.concatenate(tops)], {i: state[i] for i in (self.mean, self.variance, self.terms)}

    def _normalize(self, x: Array, mean: Array, variance: Array) -> Array:
        axis = min(1, x.ndim - 1)
        mean, variance = along(mean, axis, x.ndim), along(variance, axis, x.ndim)
        return (x - mean) / jnp.sqrt(variance + self.eps)


@layer("MVN")
class MVN(Layer):
    """y = (x − μ) / (σ + eps), or x − μ without `normalize_variance`, with μ and σ of each channel of each item.

    With `across_channels`, they are those of each item. Bottom: x (d0, C, …). Top: y, of x's shape, extended to at
    least 4 axes.
    """

    def setup(self, x: Shape) -> list[Shape]:
        p = self.config.mvn_param
        self.shape = normalized.of_four_axes(x)
        self.over = tuple(range(1 if p.across_channels else 2, len(self.shape)))
        self.normalize_variance, self.eps = p.normalize_variance, p.eps
        return [self.shape]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        x = bottoms[0].reshape(self.shape)
        centred = x - jnp.mean(x, self.over, keepdims=True)
        if not self.normalize_variance:
            return [centred]
        value = jnp.sqrt(jnp.mean(jnp.square(centred), self.over, keepdims=True)) + self.eps
        # Caffe uses mean(y · dx) as the derivative of σ, although y includes eps; it stays finite where σ is 0.
        y, value = stop_gradient(centred / value), stop_gradient(value)
        slope = jnp.mean(y * centred, self.over, keepdims=True)
        return [centred / (value + (slope - stop_gradient(slope)))]


@layer("LRN")
class LRN(Layer):
    """y = x / (k + α/n · Σ x²)^β, the sum over n = `local_size` neighbours (Krizhevsky et al., 2012).

    ACROSS_CHANNELS: the neighbours are along the channels. WITHIN_CHANNEL: they are the n × n nearest in the plane, the
    factor is α/n², and k is always 1, as in Caffe.
    Bottom: x (N, C, H, W). Top: y, of x's shape.
    """

    precision = "mixed"

    def setup(self, x: Shape) -> list[Shape]:
        p = self.config.lrn_param
        same_shape.check(self.node, x)
        self.across = p.norm_region == p.ACROSS_CHANNELS
        self.size, self.alpha, self.beta, self.k = p.local_size, p.alpha, p.beta, p.k
        return [x]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        (x,) = bottoms
        if self.across:
            return [normalize_across(x, self.size, self.alpha, self.beta, self.k)]
        return [normalize_within(x, self.size, self.alpha, self.beta)]


@jax.custom_vjp
def _scaled_to_unit(x: Array, norm: Array, scale: Array) -> Array:
    """scale · x / norm. `_backward` treats the norm as a function of x, so `norm` itself has no gradient."""
    return scale * (x / norm)


def _forward(x: Array, norm: Array, scale: Array) -> tuple[Array, tuple[Array, ...]]:
    return _scaled_to_unit(x, norm, scale), (x, norm, scale)


def _backward(residuals: tuple[Array, ...], g: Array) -> tuple[Array, Array, Array]:
    x, norm, scale = residuals
    over = tuple(a for a in range(x.ndim) if norm.shape[a] == 1)
    along_x = jnp.sum(x * g, over, keepdims=True) / jnp.square(norm)
    unscaled = tuple(a for a in range(x.ndim) if scale.shape[a] == 1)
    return scale * ((g - x * along_x) / norm), jnp.zeros_like(norm), jnp.sum(g * x / norm, unscaled, keepdims=True)


_scaled_to_unit.defvjp(_forward, _backward)


@layer("Normalize")
class Normalize(Layer):
    """y = s · x / √(Σ x² + eps), the sum over an item, or with `across_spatial: false` over its channels (SSD).

    Params: s, a scalar, or with `channel_shared: false` one per channel (C). The fork's gradient of x treats s as equal
    in all channels when it subtracts the component along x.
    Bottom: x (N, C, …). Top: y, of x's shape.
    """

    def setup(self, x: Shape) -> list[Shape]:
        p = self.config.norm_param
        tops = normalized.to_length(self.node, x)
        self.over, self.eps, self.shared = tuple(range(1, len(x) if p.across_spatial else 2)), p.eps, p.channel_shared
        self.scale = self.param("scale", () if p.channel_shared else (x[1],), p.scale_filler, default=1.0)
        return tops

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        (x,) = bottoms
        norm = jnp.sqrt(jnp.sum(jnp.square(x), self.over, keepdims=True) + self.eps)
        scale = params[self.scale].reshape(1, -1, *[1] * (x.ndim - 2))
        return [_scaled_to_unit(x, stop_gradient(norm), scale)]


@layer("L2Norm")
class L2Norm(Layer):
    """y = x / |x|, with |x| the norm of an item and |x|² at least 10⁻¹² (caffe_retrieval, ResNets for faces).

    Bottom: x (N, …). Top: y, of x's shape, extended to at least 4 axes.
    """

    def setup(self, x: Shape) -> list[Shape]:
        self.shape = normalized.of_unit_length(self.node, x)
        return [self.shape]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        x = bottoms[0].reshape(self.shape)
        square = jnp.sum(jnp.square(x), axis=tuple(range(1, x.ndim)), keepdims=True)
        return [_scaled_to_unit(x, stop_gradient(jnp.sqrt(self.bounded(square))), jnp.ones_like(square))]

    def bounded(self, square: Array) -> Array:
        """|x|² (N, 1, …), kept away from 0."""
        return jnp.maximum(square, 1e-12)


@layer("L2Normalize")
class L2Normalize(L2Norm):
    """L2Norm with 10⁻⁷ added to |x|² in place of the lower bound (caffe_retrieval, C3D)."""

    def bounded(self, square: Array) -> Array:
        return square + 1e-7


@layer("Normalization")
class Normalization(Layer):
    """y = x / |x|, with |x| the norm of an item; NaN for an item of zeros, as in the forks.

    Bottom: x (N, …). Top: y, of x's shape.
    """

    def setup(self, x: Shape) -> list[Shape]:
        normalized.of_unit_length(self.node, x)
        return [x]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        (x,) = bottoms
        norm = jnp.sqrt(jnp.sum(jnp.square(x), axis=tuple(range(1, x.ndim)), keepdims=True))
        return [_scaled_to_unit(x, stop_gradient(norm), jnp.ones_like(norm))]


@layer("NormalizationL2")
class NormalizationL2(Normalization):
    """Normalization by the name that it has in RAM and GGL (liu-xb/RAM)."""


@layer("Softmax")
class Softmax(Layer):
    """y = eˣ / Σ eˣ, the sum along `axis`."""

    def setup(self, x: Shape) -> list[Shape]:
        self.axis = self.canonical_axis(self.config.softmax_param.axis, x)
        return [x]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        return [jax.nn.softmax(bottoms[0], axis=self.axis)]
