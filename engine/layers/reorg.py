"""Reorg: squares of places into channels, in the order that YOLO v2's weights were trained with."""

import jax.numpy as jnp

from engine.graph import resized
from engine.layers.base import Array, Arrays, Context, Layer, Shape
from engine.layers.registry import layer


@layer("Reorg")
class Reorg(Layer):
    """x (N, C, H, W) → (N, C s², H / s, W / s), s the `stride`; with `reverse` → (N, C / s², H s, W s) (YOLO v2).

    The values go as Darknet has them: those of x, read as (N, C / s², H s, W s), fall into squares of s × s, whose
    places become the outer part of C channels (N, C, H, W), read in turn as the top. `reverse` makes squares of
    channels, of which it takes the outer part for the place.
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
