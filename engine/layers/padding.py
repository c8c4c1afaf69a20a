"""Padding: zeros around planes, or planes without their borders (gpapan/caffe, DeepDenoising)."""

import jax.numpy as jnp

from engine.graph import resized
from engine.layers.base import Array, Arrays, Context, Layer, Shape
from engine.layers.registry import layer


@layer("Padding")
class Padding(Layer):
    """y = x with `pad_beg` rows and columns of zeros before it, and `pad_end` behind it; below 0, that many fewer.

    Bottom: x (N, C, H, W). Top: y (N, C, H + pad_beg + pad_end, W + pad_beg + pad_end).
    """

    precision = "given"

    def setup(self, x: Shape) -> list[Shape]:
        top = resized.padded(self.node, x)
        p = self.config.padding_param
        self.begin, self.end = p.pad_beg, p.pad_end
        return [top]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        (x,) = bottoms
        if self.begin >= 0 and self.end >= 0:
            return [jnp.pad(x, ((0, 0), (0, 0), *[(self.begin, self.end)] * 2))]
        return [x[:, :, -self.begin : x.shape[2] + self.end, -self.begin : x.shape[3] + self.end]]
