"""The windows of a pooling along one axis, and how to get at their elements."""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

Array = jax.Array

WIDE = 64
"""Windows that are longer or farther apart are left to XLA's reduction: each tap would be an operation to compile."""


@dataclass(frozen=True)
class Span:
    """The windows along one axis: the o-th is [o · stride − pad, o · stride − pad + kernel), for o < outputs.

    end: the pad at the end of the axis, if it differs from `pad`. inside: whether averages leave out the padding.
    """

    axis: int
    size: int
    kernel: int
    stride: int
    pad: int
    outputs: int
    end: int | None = None
    inside: bool = False

    @property
    def padded(self) -> int:
        """The length from the first window's start to the last one's end."""
        return (self.outputs - 1) * self.stride + self.kernel

    @property
    def wide(self) -> bool:
        return max(self.kernel, self.stride) > WIDE

    @property
    def reduced_by_xla(self) -> bool:
        """Whether there are several windows, and they are left to XLA."""
        return self.wide and self.outputs > 1

    @property
    def length(self) -> int:
        """`padded` in strides, rounded up."""
        return -(-self.padded // self.stride)

    @property
    def reach(self) -> int:
        """The most windows that hold a place besides the last one that starts at or before it."""
        return (self.kernel - 1) // self.stride

    def places(self) -> np.ndarray:
        """(outputs, kernel): the places of each window's elements, counted from the first window's start."""
        return np.arange(self.outputs)[:, None] * self.stride + np.arange(self.kernel)

    def sizes(self) -> np.ndarray:
        """(outputs,): each window's length in the padded axis, or (`inside`) in the axis: Caffe's divisor of means."""
        start = np.arange(self.outputs) * self.stride - self.pad
        if self.inside:
            return np.minimum(start + self.kernel, self.size) - np.maximum(start, 0)
        return np.minimum(self.kernel, self.size + (self.pad if self.end is None else self.end) - start)

    def fit(self, x: Array, fill: float) -> Array:
        """x from the first window's start to the last one's end, filled with `fill` outside of x."""
        config = [(0, 0, 0)] * x.ndim
        config[self.axis] = (self.pad, self.padded - self.size - self.pad, 0)
        return lax.pad(x, jnp.asarray(fill, x.dtype), config)

    def cut(self, fitted: Array) -> Array:
        """The transpose of `fit`: removes what is outside of x."""
        config = [(0, 0, 0)] * fitted.ndim
        config[self.axis] = (-self.pad, self.size + self.pad - fitted.shape[self.axis], 0)
        return lax.pad(fitted, jnp.zeros((), fitted.dtype), config)

    def tap(self, fitted: Array, k: int) -> Array:
        """The k-th element of every window."""
        return lax.slice_in_dim(fitted, k, k + (self.outputs - 1) * self.stride + 1, self.stride, self.axis)

    def windows_inside(self, k: int) -> tuple[int, int]:
        """The windows, from the first to before the last, whose k-th element is inside of x."""
        first = min(max(0, -(-(self.pad - k) // self.stride)), self.outputs)
        return first, max(first, min(self.outputs, (self.size - 1 + self.pad - k) // self.stride + 1))

    def reduced(self, fitted: Array, start: float, reduce: Callable[[Array, Array], Array]) -> Array:
        """Every window reduced to one element, by XLA."""
        size, stride = [1] * fitted.ndim, [1] * fitted.ndim
        size[self.axis], stride[self.axis] = self.kernel, self.stride
        return lax.reduce_window(fitted, np.asarray(start, fitted.dtype), reduce, size, stride, "VALID")

    def elements(self, fitted: Array) -> Array:
        """(kernel, …): the elements of every window; the axis has one place per window."""
        if self.outputs == 1:
            return jnp.expand_dims(jnp.moveaxis(fitted, self.axis, 0), self.axis + 1)
        if self.wide:
            return jnp.moveaxis(jnp.take(fitted, self.places().T, self.axis), self.axis, 0)
        return jnp.stack([self.tap(fitted, k) for k in range(self.kernel)])

    def spread(self, taps: list[Array]) -> Array:
        """The transpose of taking the taps: puts every tap back to its place, and sums where windows overlap.

        Sums separately for each residue of the place modulo stride, then interleaves: no scatter, no dilated padding.
        """
        zero = jnp.zeros((), taps[0].dtype)
        rows = []
        for residue in range(self.stride):
            parts = []
            for k in range(residue, self.kernel, self.stride):
                config = [(0, 0, 0)] * taps[0].ndim
                config[self.axis] = (k // self.stride, self.length - self.outputs - k // self.stride, 0)
                parts.append(lax.pad(taps[k], zero, config))
            shape = (*taps[0].shape[: self.axis], self.length, *taps[0].shape[self.axis + 1 :])
            rows.append(sum(parts[1:], parts[0]) if parts else jnp.zeros(shape, taps[0].dtype))
        joined = jnp.stack(rows, self.axis + 1)
        joined = joined.reshape(*joined.shape[: self.axis], self.length * self.stride, *joined.shape[self.axis + 2 :])
        return self.cut(joined)
