"""Layers that undo a pooling: Upsample of SegNet and of YOLO ports, Unpooling of DeconvNet, ResizeNearestNeighbor."""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jax.lax import stop_gradient

from engine.graph import fits, resized
from engine.graph.windows import by
from engine.layers.base import Array, Arrays, Context, Layer, Shape
from engine.layers.registry import layer
from engine.ops.placing import put
from engine.ops.repeated import repeated


class _Places(Layer):
    """Puts each value at the index in a larger plane that a mask gives, as the second top of a MAX pooling does."""

    def propagates_to(self, bottom: int) -> bool:
        return bottom == 0

    def place(self, x: Array, mask: Array, size: Shape) -> Array:
        """Puts x at the indices of the mask, in planes of `size`. A plane is NaN if its mask points outside of it."""
        where = stop_gradient(mask).astype(jnp.int32)
        planes = (*x.shape[:2], x.shape[2] * x.shape[3])
        flat = put(x.reshape(planes), where.reshape(planes), size[0] * size[1])
        return flat.reshape(*x.shape[:2], *size)


@layer("Upsample", when=lambda c: len(c.bottom) == 2)
class Upsample(_Places):
    """Puts each value of x at the index that the mask gives, with 0 elsewhere (SegNet).

    Bottoms: x (N, C, H, W), and a mask of the same shape, the second top of a MAX pooling. Top: (N, C, H', W'). H' is
    upsample_h, or H · scale, minus one with `pad_out_h`; W' likewise; scale_h and scale_w set the axes separately. If
    several values have the same index, the last one is kept, and all of them get the gradient.
    """

    bottoms = (2, 2)

    def setup(self, x: Shape, mask: Shape) -> list[Shape]:
        self.size = resized.masked(self.node, x, mask)
        return [(x[0], x[1], *self.size)]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        x, mask = bottoms
        return [self.place(x, mask, self.size)]


@layer("Upsample")
class NearestUpsample(Layer):
    """Repeats each value of x in a block of `scale` × `scale` (MobileNet-YOLO); scale is 1 by default.

    Bottom: x (N, C, H, W). Top: (N, C, H · scale, W · scale).
    """

    precision = "given"

    def setup(self, x: Shape) -> list[Shape]:
        self.scale = resized.repetitions(self.node, x)
        return [(*x[:2], x[2] * self.scale, x[3] * self.scale)]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        n, c, h, w = bottoms[0].shape
        spread = (n, c, h, self.scale, w, self.scale)
        return [jnp.broadcast_to(bottoms[0][:, :, :, None, :, None], spread).reshape(self.top_shapes[0])]


@layer("Unpooling")
class Unpooling(_Places):
    """Undoes a pooling (DeconvNet, Noh et al. 2015): MAX, AVE or TILE.

    MAX puts each value at the index that the mask gives, or without a mask at the first element of its window. If
    several values have the same index, the last one is kept, and all of them get the gradient. TILE adds each value to
    all elements of its window; AVE does the same with the value divided by the window's size. Both have the gradient of
    AVE.
    Bottoms: x (N, C, H, W); for MAX, optionally a mask of the same shape. Top: (N, C, unpool_h, unpool_w), or the
    smallest size that holds the windows of kernel_size at steps of stride.
    """

    bottoms = (1, 2)

    def setup(self, x: Shape, *mask: Shape) -> list[Shape]:
        p = self.config.unpooling_param
        if mask:
            resized.with_mask(self.node, x, *mask)
        else:
            fits.planes(self.node, x)
        if mask and p.unpool != p.MAX:
            raise self.error("its second bottom is the mask of unpool: MAX; AVE and TILE take none.")
        if p.pad or p.pad_h or p.pad_w:
            raise self.error("it takes no pad; leave it out.")
        kernel, stride = self._pair("kernel", "kernel_size"), self._pair("stride", "stride")
        if kernel is None or not all(kernel) or stride is None or not all(stride):
            raise self.error("unpooling_param needs kernel_size, or kernel_h and kernel_w, of 1 or more, and a stride.")
        self.tiles, self.averages = p.unpool != p.MAX, p.unpool == p.AVE
        least = tuple(max((n - 1) * s + k, n * s + 1) for n, s, k in zip(x[2:], stride, kernel, strict=True))
        self.size = self._pair("unpool", "unpool_size") or least
        if min(self.size) < 1:
            raise self.error(f"its top would be {by(self.size)}; both must be 1 or more.")
        self.check_size("its top", (x[0], x[1], *self.size))
        self.axes = tuple(_windows(*each) for each in zip(x[2:], kernel, stride, self.size, strict=True))
        return [(x[0], x[1], *self.size)]

    def _pair(self, pair: str, field: str) -> tuple[int, int] | None:
        """(rows, columns) from `pair`_h and `pair`_w, or `field` for both; None if neither is given."""
        p = self.config.unpooling_param
        pair_fields = [name for name in (f"{pair}_h", f"{pair}_w") if p.HasField(name)]
        if pair_fields and (len(pair_fields) == 1 or p.HasField(field)):
            raise self.error(f"{pair_fields[0]} stands alone or with {field}; give {field}, or {pair}_h and {pair}_w.")
        if pair_fields:
            return getattr(p, f"{pair}_h"), getattr(p, f"{pair}_w")
        value = getattr(p, field)
        return (value, value) if value else None

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        x, *mask = bottoms
        rows, columns = self.axes
        if not self.tiles:
            first = np.minimum(rows.first, self.size[0] - 1)[:, None] * self.size[1] + np.minimum(
                columns.first, self.size[1] - 1
            )
            return [self.place(x, mask[0] if mask else jnp.broadcast_to(first, x.shape), self.size)]
        area = rows.length[:, None] * columns.length
        tiled = _spread(x / jnp.asarray(area, x.dtype), rows.inside, columns.inside)
        if self.averages:
            return [tiled]
        return [tiled + stop_gradient(_spread(x, rows.inside, columns.inside) - tiled)]


@dataclass(frozen=True)
class _Windows:
    """Windows along one axis: the start and length of each, and which elements lie inside (windows, size)."""

    first: np.ndarray
    length: np.ndarray
    inside: np.ndarray


def _windows(windows: int, kernel: int, stride: int, size: int) -> _Windows:
    first = np.arange(windows) * stride
    end = np.minimum(first + kernel, size)
    places = np.arange(size)
    return _Windows(first, end - first, (places >= first[:, None]) & (places < end[:, None]))


def _spread(x: Array, rows: np.ndarray, columns: np.ndarray) -> Array:
    """Adds each value to all elements of its window."""
    tall = jnp.einsum("nchw,hi->nciw", x, jnp.asarray(rows, x.dtype))
    return jnp.einsum("nciw,wj->ncij", tall, jnp.asarray(columns, x.dtype))


@layer("ResizeNearestNeighbor")
class ResizeNearestNeighbor(Layer):
    """y[…, i, j] = x[…, r(i), r(j)] with r(i) = ⌊i · in / out⌋, at most in − 1 (as in TensorFlow; Synopsys' Caffe).

    With align_corners, r(i) is i · (in − 1) / (out − 1), rounded; with half_pixel_centers, ⌊(i + ½) · in / out⌋; with
    half_pixel_onnx, ⌊(i + ½) · in / out − ½⌋. The size is output_height and output_width, or scale_height and
    scale_width times that of x.
    Bottom: x (N, H, W, C), or with data_format "NCHW" (N, C, H, W). Top: in the same layout.
    """

    def setup(self, x: Shape) -> list[Shape]:
        p = self.config.resize_nearest_neighbor_param
        if len(x) != 4 or not all(x):
            raise self.error(f"{self.bottom(0)} has shape {list(x)}; 4 axes are needed, none of length 0.")
        if p.data_format not in ("NHWC", "NCHW"):
            raise self.error(f'data_format is "{p.data_format}"; it must be "NHWC" or "NCHW".')
        if p.align_corners + p.half_pixel_centers + p.half_pixel_onnx > 1:
            raise self.error("give at most one of align_corners, half_pixel_centers and half_pixel_onnx.")
        self.first = p.data_format.index("H")
        height, width = x[self.first : self.first + 2]
        scaled = np.floor(np.array([height, width], np.float32) * np.array([p.scale_height, p.scale_width], np.float32))
        if not np.isfinite(scaled).all():
            raise self.error(
                f"scale_height is {p.scale_height:g} and scale_width {p.scale_width:g}: that is too large."
            )
        rows = p.output_height if p.HasField("output_height") else int(scaled[0])
        columns = p.output_width if p.HasField("output_width") else int(scaled[1])
        if min(rows, columns) < 1:
            raise self.error(f"its top would be {by((rows, columns))}; both must be 1 or more.")
        self.check_size("its top", (*x[: self.first], rows, columns, *x[self.first + 2 :]))
        self.rows, self.columns = self._read(rows, height), self._read(columns, width)
        return [(*x[: self.first], rows, columns, *x[self.first + 2 :])]

    def _read(self, outputs: int, size: int) -> np.ndarray:
        """The index, of `size` values, that each of the `outputs` values reads."""
        p = self.config.resize_nearest_neighbor_param
        i = np.arange(outputs, dtype=np.float32)
        if p.align_corners and outputs > 1:
            at = np.floor(i * np.float32((size - 1) / (outputs - 1)) + np.float32(0.5))
        else:
            half = np.float32(0.5 if p.half_pixel_centers or p.half_pixel_onnx else 0)
            at = np.floor((i + half) * np.float32(size / outputs) - np.float32(0.5 if p.half_pixel_onnx else 0))
        return np.clip(at, 0, size - 1).astype(int)

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        (x,) = bottoms
        for axis, places in ((self.first, self.rows), (self.first + 1, self.columns)):
            x = repeated(x, places, axis)
        return [x]
