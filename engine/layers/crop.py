"""Crop: cuts a blob to the size of another."""

from jax import lax

from engine.graph import parts
from engine.layers.base import Array, Arrays, Context, Layer, Shape
from engine.layers.registry import layer


@layer("Crop")
class Crop(Layer):
    """y = the part of x that starts at `offset` and has the size of the second bottom, along the axes from `axis` on.

    Bottoms: x (d0, …, dn); a second one, which only gives its shape and gets no gradient. Top: y, with x's sizes before
    `axis` and those of the second bottom from there on. `offset`: none (0), one for all of these axes, or one per axis.
    """

    def setup(self, x: Shape, like: Shape) -> list[Shape]:
        self.start, self.stop = parts.cropped(self.node, x, like)
        return [tuple(stop - start for start, stop in zip(self.start, self.stop, strict=True))]

    def propagates_to(self, bottom: int) -> bool:
        return bottom == 0

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        x, _ = bottoms
        return [lax.slice(x, self.start, self.stop)]
