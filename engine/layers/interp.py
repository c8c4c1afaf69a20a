"""Interp: a plane of another size, by linear interpolation between aligned corners (DeepLab, PSPNet)."""

import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from engine.graph.windows import by
from engine.layers.base import Array, Arrays, Context, Layer, Shape
from engine.layers.registry import layer


@layer("Interp")
class Interp(Layer):
    """y[i, j] = x at row i · (H − 1) / (H' − 1) and column j · (W − 1) / (W' − 1), linearly interpolated.

    x loses `pad_beg` and `pad_end` rows and columns first, which are 0 or negative. H' and W' are `height` and `width`,
    or (H − 1) / shrink_factor + 1, or H + (H − 1) (zoom_factor − 1), or the first and then the second.
    Bottom: x (N, C, H, W). Top: y (N, C, H', W').
    """

    def setup(self, x: Shape) -> list[Shape]:
        p = self.config.interp_param
        if len(x) != 4:
            raise self.error(f"{self.bottom(0)} has shape {list(x)}; 4 axes are needed: num, channels, height, width.")
        if p.pad_beg > 0 or p.pad_end > 0:
            raise self.error(f"pad_beg is {p.pad_beg} and pad_end {p.pad_end}; they crop, and must be 0 or below.")
        self.begin, cropped = -p.pad_beg, tuple(d + p.pad_beg + p.pad_end for d in x[2:])
        if min(cropped) < 1:
            raise self.error(f"pad_beg {p.pad_beg} and pad_end {p.pad_end} leave nothing of {by(x[2:])}.")
        rows, columns = self._size(cropped[0], p.height), self._size(cropped[1], p.width)
        self.cropped = cropped
        self.places = _places(cropped[0], rows), _places(cropped[1], columns)
        return [(x[0], x[1], rows, columns)]

    def _size(self, size: int, given: int) -> int:
        """How many rows or columns come of `size`."""
        p = self.config.interp_param
        shrinks, zooms = p.HasField("shrink_factor"), p.HasField("zoom_factor")
        sized = p.HasField("height") and p.HasField("width")
        if min(p.shrink_factor, p.zoom_factor) < 1:
            raise self.error(f"shrink_factor {p.shrink_factor} and zoom_factor {p.zoom_factor} must be 1 or more.")
        if sized and not shrinks ^ zooms:
            if given < 1:
                raise self.error(f"height {p.height} and width {p.width} must be 1 or more.")
            return given
        if not (shrinks or zooms):
            raise self.error("interp_param needs height and width, or zoom_factor, or shrink_factor.")
        size = (size - 1) // p.shrink_factor + 1
        return size + (size - 1) * (p.zoom_factor - 1)

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        height, width = self.cropped
        x = bottoms[0][:, :, self.begin : self.begin + height, self.begin : self.begin + width]
        rows, columns = (_weights(at, size, x.dtype) for at, size in zip(self.places, self.cropped, strict=True))
        wide = x if len(columns) == width else jnp.einsum("nchw,jw->nchj", x, columns)
        return [wide if len(rows) == height else jnp.einsum("nchj,ih->ncij", wide, rows)]


def _places(size: int, outputs: int) -> np.ndarray:
    """(outputs,): where in x each output lies, counted in elements. In float32, as in the fork."""
    step = np.float32(size - 1) / np.float32(outputs - 1) if outputs > 1 else np.float32(0)
    return step * np.arange(outputs, dtype=np.float32)


def _weights(places: np.ndarray, size: int, dtype: DTypeLike) -> Array:
    """(outputs, size): how much of each element goes into each output; made where it is used, for it may be large."""
    low = places.astype(np.int32)
    part, elements = (places - low).astype(np.float32)[:, None], jnp.arange(size)
    first, second = (jnp.minimum(at, size - 1)[:, None] == elements for at in (low, low + 1))
    return (jnp.where(first, 1 - part, 0) + jnp.where(second, part, 0)).astype(dtype)
