"""Layers that resize feature maps as FlowNet's forks do: Resample and Downsample."""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np

from engine.layers.base import Array, Arrays, Context, Layer, Shape
from engine.layers.registry import layer
from engine.ops.repeated import repeated
from engine.proto import caffe_pb2 as pb

F32 = np.float32


def cubic(x: np.ndarray) -> np.ndarray:
    """Keys's kernel with a = −0.5."""
    x = np.abs(x)
    near, far = x * x * (1.5 * x - 2.5) + 1, x * (x * (-0.5 * x + 2.5) - 4) + 2
    return np.where(x <= 1, near, np.where(x < 2, far, 0))


def triangle(x: np.ndarray) -> np.ndarray:
    """1 at 0, falling linearly to 0 at ±1."""
    return np.maximum(0, 1 - np.abs(x))


KERNEL: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    pb.ResampleParameter.LINEAR: triangle,
    pb.ResampleParameter.CUBIC: cubic,
}


class _Resized(Layer):
    """The base of both: the size of the top is given, or is that of a second bottom."""

    bottoms = (1, 2)

    def size(self, x: Shape, like: Shape | None, height: int, width: int, needed: str) -> tuple[int, int]:
        """Returns the height and width of the top. Raises LayerError if they are missing or a bottom lacks 4 axes."""
        for i, shape in enumerate((x,) if like is None else (x, like)):
            if len(shape) != 4 or not all(shape[2:]):
                raise self.error(f"{self.bottom(i)} has shape {list(shape)}; it must be (N, C, H, W), not empty.")
        if like is not None:
            height, width = like[2:]
        if not height or not width:
            raise self.error(f"it needs {needed}, both 1 or more, or a second bottom of the size wanted.")
        self.check_size("its top", (*x[:2], height, width))
        return height, width

    def check_weights(self, x: Shape, size: tuple[int, ...]) -> None:
        """Raises LayerError if the weights of x's rows or columns in those of the top are too large for memory."""
        for outputs, inputs, what in zip(size, x[2:], ("rows", "columns"), strict=False):
            self.check_size(f"the weights of its {what}", (outputs, inputs))

    def propagates_to(self, bottom: int) -> bool:
        return bottom == 0


@layer("Resample")
class Resample(_Resized):
    """Resizes x with bilinear (LINEAR), bicubic (CUBIC) or NEAREST sampling; `antialias` widens the kernel to reduce x.

    As in the fork, output i is at i · scale + (scale of the other axis) / 2 − ½, instead of (i + ½) · scale − ½.
    Bottoms: x (N, C, H, W); optionally one of which only the size is used. Top: (N, C, height, width).
    """

    def setup(self, x: Shape, like: Shape | None = None) -> list[Shape]:
        p = self.config.resample_param
        size = self.size(x, like, p.height, p.width, "resample_param { height, width }")
        if p.type == p.AREA:
            raise self.error("its type is AREA; it must be NEAREST, LINEAR or CUBIC.")
        scales = [F32(n) / F32(m) for n, m in zip(x[2:], size, strict=True)]
        wide = max(scales) > 1 and p.antialias
        places = [
            np.arange(m, dtype=F32) * scale + other / F32(2) - F32(0.5)
            for m, scale, other in zip(size, scales, scales[::-1], strict=True)
        ]
        self.nearest = p.type == p.NEAREST
        self.check_weights(x, () if self.nearest else size)
        if self.nearest:
            halves_away = [np.sign(at) * np.floor(np.abs(at) + F32(0.5)) for at in places]
            self.pixels = [np.clip(at, 0, n - 1).astype(int) for at, n in zip(halves_away, x[2:], strict=True)]
        else:
            self.weights = [
                _weights(KERNEL[p.type], at, n, F32(1) / scale if wide else F32(1))
                for at, n, scale in zip(places, x[2:], scales, strict=True)
            ]
        return [(*x[:2], *size)]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        x = bottoms[0]
        if self.nearest:
            rows, columns = self.pixels
            return [repeated(repeated(x, rows, 2), columns, 3)]
        return [_separable(x, *self.weights)]


@layer("Downsample")
class Downsample(_Resized):
    """Reduces x by averaging with triangular weights, with the first and last pixels aligned; NaN is skipped.

    If the weight of NaN values is more than half of that of the others, the mean is NaN.
    Bottoms: x (N, C, H, W); optionally one of which only the size is used. Top: (N, C, top_height, top_width).
    """

    def setup(self, x: Shape, like: Shape | None = None) -> list[Shape]:
        p = self.config.downsample_param
        size = self.size(x, like, p.top_height, p.top_width, "downsample_param { top_height, top_width }")
        self.same = size == x[2:]
        if not self.same and (min(size) < 2 or min(x[2:]) < 2):
            raise self.error(f"it makes {size[0]}×{size[1]} of {x[2]}×{x[3]}; each size must be 2 or more.")
        self.check_weights(x, () if self.same else size)
        if not self.same:
            self.weights = [_near(n, m) for n, m in zip(x[2:], size, strict=True)]
        return [(*x[:2], *size)]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        x = bottoms[0]
        if self.same:
            return [x]
        known = ~jnp.isnan(x)
        total = _separable(jnp.where(known, x, 0), *self.weights)
        weight = _separable(known.astype(x.dtype), *self.weights)
        missing = _separable((~known).astype(x.dtype), *self.weights)
        lost = missing > 0.5 * weight
        return [jnp.where(lost, jnp.nan, total / jnp.where(weight == 0, 1, weight))]


def _weights(kernel: Callable[[np.ndarray], np.ndarray], places: np.ndarray, n: int, per_pixel: F32) -> np.ndarray:
    """The weight of each of n pixels at each place: (places, n). Each row sums to 1, or to 0 if no pixel is near."""
    weights = kernel(per_pixel * (places[:, None] - np.arange(n, dtype=F32)))
    sums = weights.sum(axis=1, keepdims=True)
    return np.asarray(weights / np.where(sums == 0, 1, sums), F32)


def _near(n: int, m: int) -> np.ndarray:
    """The weight of each of n pixels in each of m pixels, with the first and last of both aligned: (m, n)."""
    scale = F32(n - 1) / F32(m - 1)
    places = np.arange(m, dtype=F32) / F32(m - 1) * F32(n - 1)
    return np.asarray(triangle((places[:, None] - np.arange(n, dtype=F32)) / scale), F32)


def _separable(x: Array, rows: np.ndarray, columns: np.ndarray) -> Array:
    """x (N, C, H, W), with its last two axes summed with weights (P, H) and (Q, W): (N, C, P, Q)."""
    return jnp.einsum("nchw,ph,qw->ncpq", x, rows, columns, precision="highest")
