"""Crop."""

from jax import lax

from engine.layers.base import Array, Arrays, Context, Layer, Shape
from engine.layers.registry import layer


@layer("Crop")
class Crop(Layer):
    """y = the part of x that begins at `offset` and has the size of the second bottom, along the axes from `axis` on.

    Bottoms: x (d0, …, dn); one whose shape alone is used, and which has no gradient. Top: y, of x's sizes before `axis`
    and of the second bottom's from there on. `offset`: none (0), one for all of these axes, or one an axis.
    """

    def setup(self, x: Shape, like: Shape) -> list[Shape]:
        p = self.config.crop_param
        axis = self.canonical_axis(p.axis, x)
        axes = len(x) - axis
        if len(p.offset) not in (0, 1, axes):
            raise self.error(
                f"{len(p.offset)} offsets for the {axes} axes of {self.bottom(0)} from axis {axis} on; "
                "give none, one for all, or one an axis."
            )
        if len(like) < len(x):
            raise self.error(
                f"{self.bottom(1)} of shape {list(like)} has fewer axes than {self.bottom(0)} of shape {list(x)}."
            )
        offsets = list(p.offset) if len(p.offset) == axes else list(p.offset[:1] or [0]) * axes
        self.start = (0,) * axis + tuple(offsets)
        self.stop = x[:axis] + tuple(o + n for o, n in zip(offsets, like[axis:], strict=False))
        for i, (stop, size) in enumerate(zip(self.stop, x, strict=True)):
            if stop > size:
                raise self.error(
                    f"along axis {i}, {like[i]} from offset {self.start[i]} on end behind "
                    f"{self.bottom(0)}, which has {size}."
                )
        return [tuple(stop - start for start, stop in zip(self.start, self.stop, strict=True))]

    def propagates_to(self, bottom: int) -> bool:
        return bottom == 0

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        x, _ = bottoms
        return [lax.slice(x, self.start, self.stop)]
