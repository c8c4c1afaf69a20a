"""Bilinear interpolation of planes: Interp, with aligned corners (DeepLab, PSPNet), and Resize (caffe-windows)."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from engine.graph import resized
from engine.layers.base import Array, Arrays, Context, Layer, Shape
from engine.layers.registry import layer


@layer("Interp")
class Interp(Layer):
    """y[i, j] = x at row i · (H − 1) / (H' − 1) and column j · (W − 1) / (W' − 1), bilinearly interpolated.

    First, x is cropped at its beginning and end by `pad_beg` and `pad_end`, which are 0 or negative. H' and W' are
    `height` and `width`, or (H − 1) / shrink_factor + 1, or H + (H − 1) (zoom_factor − 1); with both factors, x is
    shrunk and then zoomed.
    Bottom: x (N, C, H, W). Top: y (N, C, H', W').
    """

    def setup(self, x: Shape) -> list[Shape]:
        self.begin, self.cropped, outputs = resized.interpolated(self.node, x)
        self.check_size("its top", (x[0], x[1], *outputs))
        check_weights(self, self.cropped, outputs)
        self.places = tuple(_places(*each) for each in zip(self.cropped, outputs, strict=True))
        return [(x[0], x[1], *outputs)]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        height, width = self.cropped
        x = bottoms[0][:, :, self.begin : self.begin + height, self.begin : self.begin + width]
        rows, columns = (weights(at, size, x.dtype) for at, size in zip(self.places, self.cropped, strict=True))
        return [resized_by(x, rows, columns)]


@layer("Resize")
class Resize(Layer):
    """y[i, j] = x at row i · H / H' and column j · W / W', bilinearly interpolated; outside of x it is 0.

    H' and W' are `height` and `width` or, with is_pyramid_test, H and W times out_height_scale and out_width_scale,
    rounded down. Bottom: x (N, C, H, W). Top: y (N, C, H', W').
    """

    def setup(self, x: Shape) -> list[Shape]:
        top = resized.rescaled(self.node, x)
        self.sizes = x[2:]
        check_weights(self, self.sizes, top[2:])
        self.places = tuple(
            np.arange(outputs, dtype=np.float32) * (np.float32(size) / np.float32(outputs))
            for size, outputs in zip(self.sizes, top[2:], strict=True)
        )
        return [top]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        (x,) = bottoms
        rows, columns = (
            weights(at, size, x.dtype, bounded=False) for at, size in zip(self.places, self.sizes, strict=True)
        )
        return [resized_by(x, rows, columns)]


def check_weights(of: Layer, sizes: Sequence[int], outputs: Sequence[int]) -> None:
    """Raises LayerError if the weights with which rows or columns are resized are too large, whatever the batch."""
    for size, to in zip(sizes, outputs, strict=True):
        if size != to:
            of.check_size("the weights of its rows or columns", (to, size))


def resized_by(x: Array, rows: Array, columns: Array, skip_same: bool = True) -> Array:
    """x (N, C, H, W) → (N, C, H', W') by the weights of its rows (H', H) and columns (W', W).

    skip_same: whether an axis that keeps its size is left as it is.
    """
    height, width = x.shape[2:]
    wide = x if skip_same and len(columns) == width else jnp.einsum("nchw,jw->nchj", x, columns)
    return wide if skip_same and len(rows) == height else jnp.einsum("nchj,ih->ncij", wide, rows)


def _places(size: int, outputs: int) -> np.ndarray:
    """(outputs,): the position of each output in x, in elements. Computed in float32, as in the fork."""
    step = np.float32(size - 1) / np.float32(outputs - 1) if outputs > 1 else np.float32(0)
    return step * np.arange(outputs, dtype=np.float32)


def weights(places: np.ndarray, size: int, dtype: DTypeLike, bounded: bool = True) -> Array:
    """(outputs, size): the weight of each element in each output. Made inside `forward`, because it can be large.

    bounded: whether places behind the last element are the last element, and not 0.
    """
    low = places.astype(np.int32)
    part, elements = (places - low).astype(np.float32)[:, None], jnp.arange(size)
    last = size - 1 if bounded else size
    first, second = (jnp.minimum(at, last)[:, None] == elements for at in (low, low + 1))
    return (jnp.where(first, 1 - part, 0) + jnp.where(second, part, 0)).astype(dtype)
