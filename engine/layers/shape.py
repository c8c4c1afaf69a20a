"""Layers that only rearrange values: Concat, Slice, Flatten, Reshape, Permute, ShuffleChannel, Tile, Flip, …"""

import jax.numpy as jnp

from engine.graph import fits, new_shapes, same_shape
from engine.layers.base import Array, Arrays, Context, Layer, Shape
from engine.layers.registry import layer
from engine.ops.joining import cut, joined


class _NewShape(Layer):
    """The base of layers that give the bottom another shape, `shape`, which `setup` determines."""

    precision = "given"
    shape: Shape

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        return [bottoms[0].reshape(self.shape)]


@layer("Concat")
class Concat(Layer):
    """The bottoms concatenated along `axis`. Their shapes are equal except for `axis`."""

    precision = "given"

    def setup(self, *xs: Shape) -> list[Shape]:
        self.axis, shape = fits.joined(self.node, xs)
        return [shape]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        return [joined(list(bottoms), self.axis)]


@layer("Slice")
class Slice(Layer):
    """The bottom split along `axis`: at the slice_points, or into equal parts, one per top."""

    precision = "given"

    def setup(self, x: Shape) -> list[Shape]:
        self.axis, self.points, shapes = fits.cut(self.node, x)
        return shapes

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        return cut(bottoms[0], tuple(self.points), self.axis)


@layer("Flatten")
class Flatten(_NewShape):
    """The bottom with the axes from `axis` to `end_axis`, both included, merged into one."""

    def setup(self, x: Shape) -> list[Shape]:
        self.shape = new_shapes.flattened(self.node, x)
        return [self.shape]


@layer("Reshape")
class Reshape(_NewShape):
    """The bottom with `shape` in place of the `num_axes` axes from `axis` on: 0 keeps a dim, one −1 is inferred."""

    def setup(self, x: Shape) -> list[Shape]:
        self.shape = new_shapes.reshaped(self.node, x)
        return [self.shape]


@layer("Permute")
class Permute(Layer):
    """The bottom with its axes permuted: top axis i is bottom axis order[i]; axes not listed come last (SSD)."""

    precision = "given"

    def setup(self, x: Shape) -> list[Shape]:
        self.order = new_shapes.permuted(self.node, x)
        return [tuple(x[axis] for axis in self.order)]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        return [jnp.transpose(bottoms[0], self.order)]


@layer("Transpose")
class Transpose(Permute):
    """The bottom with its axes permuted: top axis i is bottom axis dim[i]; every axis must be listed (CTPN)."""


@layer("TensorTranspose")
class TensorTranspose(Permute):
    """The bottom with its axes permuted: top axis i is bottom axis order[i]; each must be listed (video-caffe)."""


@layer("Squeeze")
class Squeeze(Layer):
    """The bottom without the axes of length 1 listed in `axis`, or without any axis of length 1 if none is listed."""

    precision = "given"

    def setup(self, x: Shape) -> list[Shape]:
        return [new_shapes.squeezed(self.node, x)]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        return [bottoms[0].reshape(self.top_shapes[0])]


@layer("Reverse")
class Reverse(Layer):
    """The bottom reversed along `axis` (CTPN)."""

    precision = "given"

    def setup(self, x: Shape) -> list[Shape]:
        self.axis = self.canonical_axis(self.config.reverse_param.axis, x)
        return [x]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        return [jnp.flip(bottoms[0], self.axis)]


@layer("ShuffleChannel")
class ShuffleChannel(Layer):
    """Interleaves the channels of `group` groups: top channel j · group + i is channel j of group i (ShuffleNet)."""

    precision = "given"

    def setup(self, x: Shape) -> list[Shape]:
        same_shape.check(self.node, x)
        self.group = self.config.shuffle_channel_param.group
        return [x]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        (x,) = bottoms
        grouped = x.reshape(x.shape[0], self.group, x.shape[1] // self.group, *x.shape[2:])
        return [grouped.swapaxes(1, 2).reshape(x.shape)]


@layer("Tile")
class Tile(Layer):
    """The bottom repeated `tiles` times along `axis`."""

    def setup(self, x: Shape) -> list[Shape]:
        self.axis, shape = new_shapes.tiled(self.node, x)
        self.tiles = self.config.tile_param.tiles
        return [shape]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        x = jnp.expand_dims(bottoms[0], self.axis)
        tiled = jnp.broadcast_to(x, (*x.shape[: self.axis], self.tiles, *x.shape[self.axis + 1 :]))
        return [tiled.reshape(self.top_shapes[0])]


@layer("Flip")
class Flip(Layer):
    """x (N, C, H, W) mirrored along its last axis (`flip_width`), the one before it (`flip_height`), or both."""

    def setup(self, x: Shape) -> list[Shape]:
        p = self.config.flip_param
        same_shape.check(self.node, x)
        self.axes = [axis for axis, flips in ((3, p.flip_width), (2, p.flip_height)) if flips]
        return [x]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        return [jnp.flip(bottoms[0], self.axes)]
