"""Layers that give values a common scale: BatchNorm, MVN, LRN, Normalize, Softmax."""

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
    """y = (x − μ) / √(σ² + eps), per channel (Ioffe and Szegedy 2015); follow it by a Scale to learn γ and β.

    μ and σ² are the batch's, or with `use_global_stats` (TEST's default) the running averages. Those are state:
    Params: Σ μ (C), Σ σ² · m/(m − 1) (C) and the number of terms (1), all decayed by `moving_average_fraction`, with m
    values a channel. The average is the sum over that number. With stats_batch_size (Intel's) so many items at a time
    are a batch of their own.
    Bottom: x (d0, C, …), or (d0), one channel. Top: y, of x's shape.
    """

    scale: int | None = None
    shift: int | None = None
    rectified = False
    """What a Scale and a ReLU behind it do, where they are joined to it."""
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
        """With the batch's statistics: with them the gradient reads each blob several times more than it needs to."""
        if self.global_stats or self.rectified or self.batches > 1:
            return None
        made = copy.copy(self)
        made.params = [*self.params, *follower.params]
        if follower.per_channel and self.scale is None:
            scale, shift = follower.per_channel
            made.scale = len(self.params) + scale
            made.shift = None if shift is None else len(self.params) + shift
        elif follower.rectifies:
            made.rectified = True
        else:
            return None
        return made

    def apply(self, params: Arrays, bottoms: Arrays, ctx: Context) -> tuple[list[Array], dict[int, Array]]:
        (x,) = bottoms
        if self.global_stats:
            n = params[self.terms][0]
            weight = jnp.where(n == 0, 0, 1 / jnp.where(n == 0, 1, n))
            mean, variance = weight * params[self.mean], weight * params[self.variance]
            return [self._normalize(x, mean, variance)], {}
        return self._one_by_one(params, x) if self.batches > 1 else self._by_batch(params, x)

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

    def _one_by_one(self, params: Arrays, x: Array) -> tuple[list[Array], dict[int, Array]]:
        """The batches that x is made of, each after the state that the one before has left."""
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
    """y = (x − μ) / (σ + eps), or x − μ without `normalize_variance`; over each channel of each item.

    With `across_channels`, over each item. Bottom: x (d0, C, …). Top: y, of x's shape, of 4 axes at least.
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
        # Caffe takes mean(y · dx) for the derivative of σ, y's eps and all; it is finite where σ is 0.
        y, value = stop_gradient(centred / value), stop_gradient(value)
        slope = jnp.mean(y * centred, self.over, keepdims=True)
        return [centred / (value + (slope - stop_gradient(slope)))]


@layer("LRN")
class LRN(Layer):
    """y = x / (k + α/n · Σ x²)^β, the sum over n = `local_size` neighbours (Krizhevsky et al., 2012).

    ACROSS_CHANNELS: along the channels. WITHIN_CHANNEL: over n × n of rows and columns; there α/n² and k = 1, as in
    Caffe, whatever `k` says.
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
    """scale · x / norm, with the norm's own derivative left to `_scaled_to_unit_vjp`."""
    return scale * (x / norm)


def _forward(x: Array, norm: Array, scale: Array) -> tuple[Array, tuple[Array, ...]]:
    return _scaled_to_unit(x, norm, scale), (x, norm, scale)


def _backward(kept: tuple[Array, ...], g: Array) -> tuple[Array, Array, Array]:
    x, norm, scale = kept
    over = tuple(a for a in range(x.ndim) if norm.shape[a] == 1)
    along_x = jnp.sum(x * g, over, keepdims=True) / jnp.square(norm)
    unscaled = tuple(a for a in range(x.ndim) if scale.shape[a] == 1)
    return scale * ((g - x * along_x) / norm), jnp.zeros_like(norm), jnp.sum(g * x / norm, unscaled, keepdims=True)


_scaled_to_unit.defvjp(_forward, _backward)


@layer("Normalize")
class Normalize(Layer):
    """y = s · x / √(Σ x² + eps), the sum over an item, or with `across_spatial: false` over its channels (SSD).

    Params: s, one for all (no axes), or with `channel_shared: false` one a channel (C). The fork's gradient of x takes
    s for the same in all channels where it subtracts what lies along x.
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
    """y = x / |x| over all of an item, |x|² at least 10⁻¹² (caffe_retrieval, ResNets for faces).

    Bottom: x (N, …). Top: y, of x's shape, of 4 axes at least.
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
    """L2Norm with 10⁻⁷ added to |x|² instead (caffe_retrieval, C3D)."""

    def bounded(self, square: Array) -> Array:
        return square + 1e-7


@layer("Softmax")
class Softmax(Layer):
    """y = eˣ / Σ eˣ, the sum along `axis`."""

    def setup(self, x: Shape) -> list[Shape]:
        self.axis = self.canonical_axis(self.config.softmax_param.axis, x)
        return [x]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        return [jax.nn.softmax(bottoms[0], axis=self.axis)]
