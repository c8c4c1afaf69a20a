"""Interp: resizes planes by bilinear interpolation with aligned corners (DeepLab, PSPNet)."""

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
        self.places = tuple(_places(*each) for each in zip(self.cropped, outputs, strict=True))
        return [(x[0], x[1], *outputs)]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        height, width = self.cropped
        x = bottoms[0][:, :, self.begin : self.begin + height, self.begin : self.begin + width]
        rows, columns = (_weights(at, size, x.dtype) for at, size in zip(self.places, self.cropped, strict=True))
        wide = x if len(columns) == width else jnp.einsum("nchw,jw->nchj", x, columns)
        return [wide if len(rows) == height else jnp.einsum("nchj,ih->ncij", wide, rows)]


def _places(size: int, outputs: int) -> np.ndarray:
    """(outputs,): the position of each output in x, in elements. Computed in float32, as in the fork."""
    step = np.float32(size - 1) / np.float32(outputs - 1) if outputs > 1 else np.float32(0)
    return step * np.arange(outputs, dtype=np.float32)


def _weights(places: np.ndarray, size: int, dtype: DTypeLike) -> Array:
    """(outputs, size): the weight of each element in each output. Made inside `forward`, because it can be large."""
    low = places.astype(np.int32)
    part, elements = (places - low).astype(np.float32)[:, None], jnp.arange(size)
    first, second = (jnp.minimum(at, size - 1)[:, None] == elements for at in (low, low + 1))
    return (jnp.where(first, 1 - part, 0) + jnp.where(second, part, 0)).astype(dtype)
