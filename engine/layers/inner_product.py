"""InnerProduct: a fully connected layer."""

from collections.abc import Sequence

import jax.numpy as jnp

from engine.layers.base import Array, Arrays, Context, Layer, Shape, count
from engine.layers.registry import layer
from engine.ops import inner_product


@layer("InnerProduct")
class InnerProduct(Layer):
    """y = x Wᵀ + b, over the axes of x from `axis` on, flattened.

    Bottom: x (d0, …, dn). Top: y (d0, …, d(axis−1), num_output).
    Params: W (num_output, K), or (K, num_output) with `transpose`; b (num_output).
    """

    precision = "low"

    def setup(self, x: Shape) -> list[Shape]:
        p = self.config.inner_product_param
        if not p.num_output:
            raise self.error("inner_product_param needs num_output of 1 or more.")
        axis = self.canonical_axis(p.axis, x)
        self.features = count(x[axis:])
        self.transpose = p.transpose
        shape = (self.features, p.num_output) if p.transpose else (p.num_output, self.features)
        self.weight = self.param("weight", shape, p.weight_filler)
        self.bias = self.param("bias", (p.num_output,), p.bias_filler) if p.bias_term else None
        self.shape = (*x[:axis], p.num_output)
        return [self.shape]

    def multiply_adds(self, bottoms: Sequence[Shape], tops: Sequence[Shape]) -> int:
        return sum(map(count, tops)) * self.features

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        (x,) = bottoms
        w = params[self.weight]
        rows = x.reshape(count(self.shape[:-1]), self.features)
        y = jnp.matmul(rows, w) if self.transpose else inner_product.product(rows, w)
        if self.bias is not None:
            y = y + params[self.bias]
        return [y.reshape(self.shape)]
