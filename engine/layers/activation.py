"""Element-wise non-linearities: y = f(x), of x's shape."""

import jax.numpy as jnp

from engine.layers.base import Layer, Shape, layer


class Activation(Layer):
    """One bottom, one top of the same shape; may be computed in place."""

    def setup(self, x: Shape) -> list[Shape]:
        return [x]


@layer("ReLU")
class ReLU(Activation):
    """y = max(x, 0) + negative_slope · min(x, 0). The gradient at 0 is negative_slope, as Caffe's."""

    def forward(self, params, bottoms, ctx):
        (x,) = bottoms
        slope = self.config.relu_param.negative_slope
        return [jnp.where(x > 0, x, slope * x)]
