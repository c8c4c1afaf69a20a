"""Reduction, which computes sums and means, and ChannelNorm."""

from collections.abc import Callable

import jax.numpy as jnp
from jax.lax import stop_gradient

from engine.graph import parts
from engine.layers.base import Array, Arrays, Context, Layer, Shape, count
from engine.layers.registry import layer
from engine.ops.replaced_gradient import with_gradient_of
from engine.proto import caffe_pb2 as pb

Op = pb.ReductionParameter

TERM: dict[int, Callable[[Array], Array]] = {
    Op.SUM: lambda x: x,
    Op.ASUM: lambda x: x * jnp.sign(x),
    Op.SUMSQ: jnp.square,
    Op.MEAN: lambda x: x,
}


@layer("Reduction")
class Reduction(Layer):
    """y = coeff · (Σ x, Σ |x|, Σ x² or the mean of x) over all axes from `axis` on. Top: y (d0, …, d(axis−1))."""

    def setup(self, x: Shape) -> list[Shape]:
        p = self.config.reduction_param
        self.axis = parts.reduced(self.node, x)
        self.term = TERM[p.operation]
        self.coeff = p.coeff / max(1, count(x[self.axis :])) if p.operation == Op.MEAN else p.coeff
        return [x[: self.axis]]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        (x,) = bottoms
        return [self.coeff * jnp.sum(self.term(x), tuple(range(self.axis, x.ndim)))]


@layer("ChannelNorm")
class ChannelNorm(Layer):
    """y = √Σ x² over the channels, with gradient 0 where x is 0 (FlowNet 2.0). Bottom: (N, C, …). Top: (N, 1, …)."""

    def setup(self, x: Shape) -> list[Shape]:
        return [parts.normed(self.node, x)]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        (x,) = bottoms
        y = jnp.sqrt(stop_gradient(jnp.sum(jnp.square(x), axis=1, keepdims=True)))
        return [with_gradient_of(y, jnp.sum(x * stop_gradient(x / (y + 1e-9)), axis=1, keepdims=True))]
