"""The windows of a pooling along one axis, what they meet, and how that is laid out."""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

Array = jax.Array

WIDE = 64
"""Windows longer or farther apart are left to XLA's reduction: every tap would be an operation to compile."""


@dataclass(frozen=True)
class Span:
    """The windows along one axis: the o-th is [o · stride − pad, o · stride − pad + kernel), for o < outputs.

    end: the pad at the axis's end, if not as long as `pad`. inside: averages are of what lies within the axis alone.
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
        """From the first window's start to the last one's end."""
        return (self.outputs - 1) * self.stride + self.kernel

    @property
    def wide(self) -> bool:
        return max(self.kernel, self.stride) > WIDE

    @property
    def reduced_by_xla(self) -> bool:
        """Whether its windows, which are several, are left to XLA."""
        return self.wide and self.outputs > 1

    @property
    def length(self) -> int:
        """How many strides that is, rounded up."""
        return -(-self.padded // self.stride)

    @property
    def reach(self) -> int:
        """How many windows further a place is held by the one that starts at or before it, at most."""
        return (self.kernel - 1) // self.stride

    def places(self) -> np.ndarray:
        """(outputs, kernel): where each window's elements lie, counted from the first window's start."""
        return np.arange(self.outputs)[:, None] * self.stride + np.arange(self.kernel)

    def sizes(self) -> np.ndarray:
        """(outputs,): how much of each window lies within the padded axis, or the axis: Caffe's divisor of averages."""
        start = np.arange(self.outputs) * self.stride - self.pad
        if self.inside:
            return np.minimum(start + self.kernel, self.size) - np.maximum(start, 0)
        return np.minimum(self.kernel, self.size + (self.pad if self.end is None else self.end) - start)

    def fit(self, x: Array, fill: float) -> Array:
        """x from the first window's start to the last one's end, with `fill` outside of it."""
        config = [(0, 0, 0)] * x.ndim
        config[self.axis] = (self.pad, self.padded - self.size - self.pad, 0)
        return lax.pad(x, jnp.asarray(fill, x.dtype), config)

    def cut(self, fitted: Array) -> Array:
        """The transpose of `fit`: what lies outside of x is left out."""
        config = [(0, 0, 0)] * fitted.ndim
        config[self.axis] = (-self.pad, self.size + self.pad - fitted.shape[self.axis], 0)
        return lax.pad(fitted, jnp.zeros((), fitted.dtype), config)

    def tap(self, fitted: Array, k: int) -> Array:
        """The k-th element of every window."""
        return lax.slice_in_dim(fitted, k, k + (self.outputs - 1) * self.stride + 1, self.stride, self.axis)

    def reduced(self, fitted: Array, start: float, reduce: Callable[[Array, Array], Array]) -> Array:
        """Every window reduced to one element, by XLA."""
        size, stride = [1] * fitted.ndim, [1] * fitted.ndim
        size[self.axis], stride[self.axis] = self.kernel, self.stride
        return lax.reduce_window(fitted, np.asarray(start, fitted.dtype), reduce, size, stride, "VALID")

    def elements(self, fitted: Array) -> Array:
        """(kernel, …): the elements of every window; the axis has one place a window."""
        if self.outputs == 1:
            return jnp.expand_dims(jnp.moveaxis(fitted, self.axis, 0), self.axis + 1)
        if self.wide:
            return jnp.moveaxis(jnp.take(fitted, self.places().T, self.axis), self.axis, 0)
        return jnp.stack([self.tap(fitted, k) for k in range(self.kernel)])

    def spread(self, taps: list[Array]) -> Array:
        """The transpose of taking the taps: every tap back to its place, summed where windows overlap.

        Sums by residue of the place modulo stride, then interleaves them: no scatter, no dilated padding.
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
