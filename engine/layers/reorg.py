"""Reorg: moves spatial blocks into channels, in the order with which YOLO v2's weights were trained."""

import jax.numpy as jnp

from engine.graph import resized
from engine.layers.base import Array, Arrays, Context, Layer, Shape
from engine.layers.registry import layer


@layer("Reorg")
class Reorg(Layer):
    """x (N, C, H, W) → (N, C s², H / s, W / s), s the `stride`; with `reverse` → (N, C / s², H s, W s) (YOLO v2).

    The order is Darknet's: x, reinterpreted as (N, C / s², H s, W s), is cut into blocks of s × s. The position in the
    block becomes the outer part of the C channels of an array (N, C, H, W), which is reinterpreted as the top.
    `reverse` turns channels into blocks: the outer part of the channel index becomes the position in the block.
    """

    def setup(self, x: Shape) -> list[Shape]:
        p = self.config.reorg_param
        self.shape = resized.reorganized(self.node, x)
        n, c, h, w = x
        self.squares = n, c // p.stride**2, h, p.stride, w, p.stride
        self.reverse = p.reverse
        return [self.shape]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        (x,) = bottoms
        if not self.reverse:
            return [jnp.transpose(x.reshape(self.squares), (0, 3, 5, 1, 2, 4)).reshape(self.shape)]
        n, c, h, s, w, _ = self.squares
        return [jnp.transpose(x.reshape(n, s, s, c, h, w), (0, 3, 4, 1, 5, 2)).reshape(self.shape)]
