"""The layers of Multi-task Network Cascades (Dai, He, Sun 2016; daijifeng001/caffe-mnc): ROIWarping, MaskPooling,
MaskResize."""

import jax
import jax.numpy as jnp

from engine.graph import regions
from engine.layers.base import Array, Arrays, Context, Layer, Shape
from engine.layers.registry import layer
from engine.ops.roi import sample_weights
from engine.ops.roi_warp import warp


@layer("ROIWarping")
class ROIWarping(Layer):
    """The maximum of bilinearly interpolated values in each of pooled_h × pooled_w bins of each region.

    Regions get a gradient, taken through their centre, width and height, as in the fork; see `engine.ops.roi_warp`.
    Bottoms: x (N, C, H, W); regions (R, 5): image, x1, y1, x2, y2, in pixels of the image.
    Top: (R, C, pooled_h, pooled_w).
    """

    def setup(self, x: Shape, rois: Shape) -> list[Shape]:
        p = self.config.roi_warping_param
        shape = regions.warped(self.node, x, rois)
        self.bins, self.scale = (p.pooled_h, p.pooled_w), p.spatial_scale
        return [shape]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        x, rois = bottoms
        return [warp(x, rois.reshape(-1, 5), self.bins, self.scale)]


@layer("MaskPooling")
class MaskPooling(Layer):
    """y = x · mask: every channel of a region's features times its mask.

    Bottoms: x (R, C, H, W); masks (R, 1, H, W). Top: x's shape.
    """

    def setup(self, x: Shape, mask: Shape) -> list[Shape]:
        return [regions.masked(self.node, x, mask)]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        x, mask = bottoms
        return [x * mask]


@layer("MaskResize")
class MaskResize(Layer):
    """Resizes maps (N, C, H, W) to output_height × output_width: output i of n is x at i · size / n, interpolated.

    As in the fork, the gradient of an element comes from at most two outputs along each axis. When maps are reduced,
    these are all the outputs that read it.
    """

    def setup(self, x: Shape) -> list[Shape]:
        shape = regions.resized(self.node, x)
        self.sizes = list(zip(x[2:], shape[2:], strict=True))
        return [shape]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        (x,) = bottoms
        (rows, rows_back), (columns, columns_back) = (_matrices(*sizes) for sizes in self.sizes)

        @jax.custom_vjp
        def resized(x: Array) -> Array:
            return jnp.einsum("nchw,ih,jw->ncij", x, rows, columns)

        def backward(_: None, dy: Array) -> tuple[Array]:
            return (jnp.einsum("ncij,ih,jw->nchw", dy, rows_back, columns_back),)

        resized.defvjp(lambda x: (resized(x), None), backward)
        return [resized(x)]


def _matrices(size: int, outputs: int) -> tuple[Array, Array]:
    """(outputs, size): the weights of the elements in each output; and the weights used for the gradient."""
    ratio = jnp.float32(size) / jnp.float32(outputs)
    weights = sample_weights((jnp.arange(outputs) * ratio)[None, :, None], size, beyond=0.5)[0]
    nearest = jnp.floor(jnp.arange(size) / ratio)
    output = jnp.arange(outputs)[:, None]
    return weights, jnp.where((output >= nearest) & (output <= nearest + 1), weights, 0)
