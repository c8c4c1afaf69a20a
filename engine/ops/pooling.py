"""Pooling, one axis at a time: maxima and sums over rectangles are those over columns of those over rows.

A single window, as of global pooling, is a reduction; of several, each element is an operation over all windows.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

Array = jax.Array

WIDE = 64
"""Windows longer or farther apart are left to XLA's reduction: every tap would be an operation to compile."""


@dataclass(frozen=True)
class Span:
    """The windows along one axis: the o-th is [o · stride − pad, o · stride − pad + kernel), for o < outputs."""

    axis: int
    size: int
    kernel: int
    stride: int
    pad: int
    outputs: int

    @property
    def padded(self) -> int:
        """From the first window's start to the last one's end."""
        return (self.outputs - 1) * self.stride + self.kernel

    @property
    def wide(self) -> bool:
        return max(self.kernel, self.stride) > WIDE

    def places(self) -> np.ndarray:
        """(outputs, kernel): where each window's elements lie, counted from the first window's start."""
        return np.arange(self.outputs)[:, None] * self.stride + np.arange(self.kernel)

    def sizes(self) -> np.ndarray:
        """(outputs,): how much of each window lies within the padded axis: Caffe's divisor of averages."""
        start = np.arange(self.outputs) * self.stride - self.pad
        return np.minimum(self.kernel, self.size + self.pad - start)

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

    def spread(self, taps: list[Array]) -> Array:
        """The transpose of taking the taps: every tap back to its place, summed where windows overlap.

        Sums by residue of the place modulo stride, then interleaves them: no scatter, no dilated padding.
        """
        length = -(-self.padded // self.stride)
        zero = jnp.zeros((), taps[0].dtype)
        rows = []
        for residue in range(self.stride):
            parts = []
            for k in range(residue, self.kernel, self.stride):
                config = [(0, 0, 0)] * taps[0].ndim
                config[self.axis] = (k // self.stride, length - self.outputs - k // self.stride, 0)
                parts.append(lax.pad(taps[k], zero, config))
            shape = (*taps[0].shape[: self.axis], length, *taps[0].shape[self.axis + 1 :])
            rows.append(sum(parts[1:], parts[0]) if parts else jnp.zeros(shape, taps[0].dtype))
        joined = jnp.stack(rows, self.axis + 1)
        joined = joined.reshape(*joined.shape[: self.axis], length * self.stride, *joined.shape[self.axis + 2 :])
        return self.cut(joined)


Windows = tuple[Span, Span]
"""The windows over rows and columns."""


def _lowest(x: Array) -> float:
    return float(jnp.finfo(x.dtype).min)


def max_pool(x: Array, windows: Windows) -> Array:
    """The maximum of every window. Its gradient goes to the first maximum in scan order, as Caffe's."""
    for span in reversed(windows):
        x = span.reduced(span.fit(x, _lowest(x)), -np.inf, lax.max) if span.wide else _max_along(x, span)
    return x


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def _max_along(x: Array, span: Span) -> Array:
    fitted = span.fit(x, _lowest(x))
    if span.outputs == 1:
        return jnp.max(fitted, span.axis, keepdims=True)
    y = span.tap(fitted, 0)
    for k in range(1, span.kernel):
        y = jnp.maximum(y, span.tap(fitted, k))
    return y


def _max_fwd(x: Array, span: Span) -> tuple[Array, tuple[Array, Array]]:
    y = _max_along(x, span)
    return y, (x, y)


def _max_bwd(span: Span, saved: tuple[Array, Array], dy: Array) -> tuple[Array]:
    x, y = saved
    fitted = span.fit(x, _lowest(x))
    if span.outputs == 1:
        hit = fitted == y
        first = lax.broadcasted_iota(jnp.int32, hit.shape, span.axis) == jnp.argmax(hit, span.axis, keepdims=True)
        return (span.cut(jnp.where(hit & first, dy, 0)),)
    taps, free = [], jnp.ones(y.shape, bool)
    for k in range(span.kernel):
        hit = span.tap(fitted, k) == y
        taps.append(jnp.where(hit & free, dy, 0))
        free = free & ~hit
    return (span.spread(taps),)


_max_along.defvjp(_max_fwd, _max_bwd)


def first_maximum(x: Array, windows: Windows) -> Array:
    """Where in its plane of rows · columns each window's first maximum lies, as a number of x's type; −1 for none."""
    plane = x.shape[-2:]
    places = jnp.broadcast_to(jnp.arange(plane[0] * plane[1], dtype=jnp.int32).reshape(plane), x.shape)
    values = lax.stop_gradient(x)
    for span in reversed(windows):
        if span.wide:
            values, places = _best(values, places, span)
            continue
        fitted, fitted_places = span.fit(values, _lowest(x)), span.fit(places, -1)
        values, places = span.tap(fitted, 0), span.tap(fitted_places, 0)
        for k in range(1, span.kernel):
            tap = span.tap(fitted, k)
            better = tap > values
            values, places = jnp.where(better, tap, values), jnp.where(better, span.tap(fitted_places, k), places)
    return places.astype(x.dtype)


def _best(values: Array, places: Array, span: Span) -> tuple[Array, Array]:
    """The maximum of every window and its place, by one gather; of equal ones the first."""
    fitted, fitted_places = span.fit(values, _lowest(values)), span.fit(places, -1)
    at = span.axis + 1
    taps, places = (jnp.take(v, span.places(), span.axis) for v in (fitted, fitted_places))
    first = jnp.argmax(taps, at, keepdims=True)
    return tuple(jnp.take_along_axis(v, first, at).squeeze(at) for v in (taps, places))  # type: ignore[return-value]


def random_pool(x: Array, windows: Windows, key: Array) -> Array:
    """One element of every window, drawn with a probability in proportion to its value (values are ≥ 0).

    Zeiler and Fergus, "Stochastic pooling", 2013: the first element where the running sum reaches u · Σ, u uniform.
    """
    taps = _elements(x, windows)
    running = jnp.cumsum(lax.stop_gradient(taps), -1)
    threshold = jax.random.uniform(key, running.shape[:-1], x.dtype) * running[..., -1]
    chosen = jnp.argmax(running >= threshold[..., None], -1)
    return jnp.take_along_axis(taps, chosen[..., None], -1)[..., 0]


def weighted_pool(x: Array, windows: Windows) -> Array:
    """The mean of every window weighted by its own values, Σx² / Σx; 0 where Σx is not positive."""
    taps = _elements(x, windows)
    total = jnp.sum(taps, -1)
    positive = total > 0
    return jnp.where(positive, jnp.sum(taps * taps, -1) / jnp.where(positive, total, 1), 0)


def _elements(x: Array, windows: Windows) -> Array:
    """The elements of every window in scan order, 0 outside of x: (…, outputs, outputs, kernel · kernel)."""
    rows, columns = windows
    fitted = columns.fit(rows.fit(x, 0), 0)
    taps = fitted[..., rows.places()[:, None, :, None], columns.places()[None, :, None, :]]
    return taps.reshape(*taps.shape[:-2], rows.kernel * columns.kernel)


def average_pool(x: Array, windows: Windows) -> Array:
    """The sum of every window over its size, of which only what lies behind the pad at the end is no part."""
    for span in reversed(windows):
        sizes = np.expand_dims(span.sizes(), tuple(range(1, x.ndim - span.axis))).astype(x.dtype)
        x = (span.reduced(span.fit(x, 0), 0, lax.add) if span.wide else _sum_along(x, span)) / sizes
    return x


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def _sum_along(x: Array, span: Span) -> Array:
    fitted = span.fit(x, 0)
    if span.outputs == 1:
        return jnp.sum(fitted, span.axis, keepdims=True)
    return sum((span.tap(fitted, k) for k in range(1, span.kernel)), span.tap(fitted, 0))


def _sum_fwd(x: Array, span: Span) -> tuple[Array, None]:
    return _sum_along(x, span), None


def _sum_bwd(span: Span, _: None, dy: Array) -> tuple[Array]:
    if span.outputs == 1:
        shape = (*dy.shape[: span.axis], span.kernel, *dy.shape[span.axis + 1 :])
        return (span.cut(jnp.broadcast_to(dy, shape)),)
    return (span.spread([dy] * span.kernel),)


_sum_along.defvjp(_sum_fwd, _sum_bwd)
