"""InnerProduct: a fully connected layer."""

from collections.abc import Sequence

import jax.numpy as jnp
from jax.lax import stop_gradient

from engine.graph import fits
from engine.layers.base import Array, Arrays, Context, Layer, Shape, count
from engine.layers.registry import layer
from engine.ops import inner_product
from engine.ops.replaced_gradient import with_gradient_of


@layer("InnerProduct")
class InnerProduct(Layer):
    """y = x Wᵀ + b, with the axes of x from `axis` on flattened.

    Bottom: x (d0, …, dn). Top: y (d0, …, d(axis−1), num_output).
    Params: W (num_output, K), or (K, num_output) with `transpose`; b (num_output).
    """

    precision = "low"

    def setup(self, x: Shape) -> list[Shape]:
        p = self.config.inner_product_param
        fits.outputs(self.node, "inner_product_param", p.num_output)
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


@layer("InnerProduct", when=lambda config: config.inner_product_param.normalize)
class UnitInnerProduct(InnerProduct):
    """y = x Wᵀ + b, where each pass first divides every row w of W by √(|w|² + 10⁻⁶) (NormFace, AM-Softmax).

    The divided rows are kept as the parameter. The gradient of W is that of x Wᵀ, as in the fork.
    """

    def setup(self, x: Shape) -> list[Shape]:
        if self.config.inner_product_param.transpose:
            raise self.error("normalize needs weights stored as outputs × inputs; leave transpose out.")
        return super().setup(x)

    def apply(self, params: Arrays, bottoms: Arrays, ctx: Context) -> tuple[list[Array], dict[int, Array]]:
        straight, unit = unit_rows(params[self.weight])
        tops = self.forward([straight if i == self.weight else v for i, v in enumerate(params)], bottoms, ctx)
        return tops, {self.weight: unit}


def unit_rows(w: Array) -> tuple[Array, Array]:
    """The rows of w (N, K), each divided by √(|row|² + 10⁻⁶): once with the gradient of w, once without gradient."""
    unit = stop_gradient(w / jnp.sqrt(jnp.sum(jnp.square(w), axis=1, keepdims=True) + 1e-6))
    return with_gradient_of(unit, w), unit
