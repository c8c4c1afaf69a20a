"""NegSquare and ExpMax: the weights of LiteFlowNet's feature-driven smoothing of flow (Hui et al. 2018)."""

import math

import jax.numpy as jnp
from jax.lax import stop_gradient

from engine.graph import fits
from engine.layers.activation import Activation
from engine.layers.base import Array, Arrays, Context, Layer, Shape
from engine.layers.registry import layer


@layer("NegSquare")
class NegSquare(Activation):
    """y = −x², with no gradient: the fork multiplies that of y with what it finds in the place of x's, zeros."""

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        return [stop_gradient(-jnp.square(bottoms[0]))]


@layer("ExpMax")
class ExpMax(Layer):
    """y = base^(scale · (x − m) + shift), base −1 standing for e, with the gradient of x alone.

    m is the largest value of the channels at each place of the first item; for further items the fork leaves it out.
    Bottom: x (N, C, H, W). Top: y, of x's shape.
    """

    def setup(self, x: Shape) -> list[Shape]:
        p = self.config.expmax_param
        fits.planes(self.node, x)
        if not x[1]:
            raise self.error(f"{self.bottom(0)} has shape {list(x)}; it needs one channel or more.")
        if p.base != -1 and not 0 < p.base < math.inf:
            raise self.error(f"base is {p.base:g}; it must be above 0, or -1 for e.")
        logarithm = 1.0 if p.base == -1 else math.log(p.base)
        self.scale, self.shift = logarithm * p.scale, logarithm * p.shift
        return [x]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        (x,) = bottoms
        largest = stop_gradient(jnp.max(x, 1, keepdims=True))
        first = (jnp.arange(len(x)) == 0)[:, None, None, None]
        return [jnp.exp(self.scale * (x - jnp.where(first, largest, 0)) + self.shift)]
