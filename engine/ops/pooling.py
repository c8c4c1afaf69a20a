"""Pooling. Sums, and maxima of large kernels, are taken along one axis at a time, the last axis first.

A single window, as in global pooling, is one reduction. With several windows, each kernel element is one operation over
all of them.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from math import prod

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from engine.ops import platform
from engine.ops.channels import moved, stored, where_fastest
from engine.ops.span import Span

Array = jax.Array

Spans = tuple[Span, ...]


def _lowest(x: Array) -> float:
    return float(jnp.finfo(x.dtype).min)


MANY = 25
"""Larger kernels and strides are pooled one axis at a time: each of their elements would be an operation to compile."""


def max_pool(x: Array, windows: Spans) -> Array:
    """The maximum of every window. Its gradient goes to the first maximum in scan order, as in Caffe."""
    taps, phases = (prod(numbers) for numbers in zip(*((span.kernel, span.stride) for span in windows), strict=True))
    if len(windows) == 2 and max(taps, phases) <= MANY:
        return _max_over(x, windows)
    for span in reversed(windows):
        whole = span.reduced_by_xla
        x = span.reduced(span.fit(x, _lowest(x)), -np.inf, lax.max) if whole else _max_over(x, (span,))
    return x


def max_pool_to_all(x: Array, spans: Spans) -> Array:
    """The maximum of every window. Its gradient goes to every element of the window that equals it."""
    for span in reversed(spans):
        x = _max_along(x, span)
    return x


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def _max_along(x: Array, span: Span) -> Array:
    return where_fastest(lambda channels, x: _maxima(x, _moved(channels, (span,))), x)


def _max_along_fwd(x: Array, span: Span) -> tuple[Array, tuple[Array, Array]]:
    y = _max_along(x, span)
    return y, (x, y)


def _max_along_bwd(span: Span, saved: tuple[Array, Array], dy: Array) -> tuple[Array]:
    def spread(channels: int, x: Array, y: Array, dy: Array) -> Array:
        (here,) = _moved(channels, (span,))
        return here.spread([jnp.where(tap == y, dy, 0) for tap in _taps(x, (here,), np.nan)])

    return (where_fastest(spread, *saved, dy),)


_max_along.defvjp(_max_along_fwd, _max_along_bwd)


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def _max_over(x: Array, spans: Spans) -> Array:
    """The maxima over windows along one or two axes of x (N, C, H, W)."""
    return where_fastest(lambda channels, x: _maxima(x, _moved(channels, spans)), x)


def _max_fwd(x: Array, spans: Spans) -> tuple[Array, tuple[Array, Array]]:
    def form(channels: int, x: Array) -> Array:
        y = _maxima(x, _moved(channels, spans))
        return y if _dense(spans) else stored(y)  # or XLA computes y again, and stores the filled taps of both

    y = where_fastest(form, x)
    return y, (x, y)


def _max_bwd(spans: Spans, saved: tuple[Array, Array], dy: Array) -> tuple[Array]:
    def form(channels: int, x: Array, y: Array, dy: Array) -> Array:
        return _to_first_maxima(x, y, dy, _moved(channels, spans))

    return (where_fastest(form, *saved, dy),)


_max_over.defvjp(_max_fwd, _max_bwd)


def _maxima(x: Array, spans: Spans) -> Array:
    if (span := _single(spans)) is not None:
        return jnp.max(span.fit(x, _lowest(x)), span.axis, keepdims=True)
    taps = _taps(x, spans, _lowest(x))
    y = next(taps)
    for tap in taps:
        y = jnp.maximum(y, tap)
    return y


def _to_first_maxima(x: Array, y: Array, dy: Array, spans: Spans) -> Array:
    """The gradient of x: each window's dy goes to its first tap that equals y. That tap's number is found first; then
    every element of x looks up the windows that hold it. This needs no scatter, and reads x once."""
    if (span := _single(spans)) is not None:
        hit = span.fit(x, _lowest(x)) == y
        first = lax.broadcasted_iota(jnp.int32, hit.shape, span.axis) == jnp.argmax(hit, span.axis, keepdims=True)
        return span.cut(jnp.where(hit & first, dy, 0))
    count = prod(span.kernel for span in spans)
    number = jnp.full(y.shape, count, jnp.int32)
    for k, tap in reversed(list(enumerate(_taps(x, spans, np.nan)))):
        number = jnp.where(tap == y, k, number)
    number = _materialized(number, dense=_dense(spans))
    return _to_taps(number, dy, spans)


def _materialized(number: Array, *, dense: bool) -> Array:
    """The numbers of taps, written to memory before they are read; as bytes on a GPU, where memory is the bottleneck,
    and on a CPU if windows are `dense`."""
    if dense:
        return lax.optimization_barrier(number.astype(jnp.int8))

    def on_gpu(number: Array) -> Array:
        return lax.optimization_barrier(number.astype(jnp.int8)).astype(number.dtype)

    result: Array = platform.dependent(number, cpu=lax.optimization_barrier, default=on_gpu)
    return result


def _to_taps(number: Array, dy: Array, spans: Spans) -> Array:
    """The gradient of x from the numbers of taps: each element adds up dy of the windows whose numbered tap it is.

    Along an axis, element a · stride + p is tap p + d · stride of window a − d. Each d takes one comparison for all
    elements; they have axes of their own for p, each after its window's.
    """
    if any(span.reach for span in spans):
        config = [(0, 0, 0)] * dy.ndim
        for span in spans:
            config[span.axis] = (span.reach, span.reach, 0)
        number, dy = (stored(lax.pad(v, jnp.zeros((), v.dtype), config)) for v in (number, dy))
    places = [span.axis + 1 + i for i, span in enumerate(spans)]
    taps = _taps_by_place(spans).astype(number.dtype)
    terms = []
    for back in np.ndindex(*(span.reach + 1 for span in spans)):
        start, stop = [0] * dy.ndim, list(dy.shape)
        for span, d in zip(spans, back, strict=True):
            start[span.axis], stop[span.axis] = span.reach - d, span.reach - d + span.length
        window, given = (jnp.expand_dims(lax.slice(v, start, stop), places) for v in (number, dy))
        others = [axis for axis in range(window.ndim) if axis not in places]
        terms.append(jnp.where(window == np.expand_dims(taps[back], others), given, 0))
    shape = list(dy.shape)
    for span in spans:
        shape[span.axis] = span.length * span.stride
    x = sum(terms[1:], terms[0]).reshape(shape)
    for span in spans:
        x = span.cut(x)
    return x


def _taps_by_place(spans: Spans) -> np.ndarray:
    """(reach + 1, …, stride, …): the number of tap p + d · stride for every d and p; −1 if there is none."""
    taps = np.full([(span.reach + 1) * span.stride for span in spans], -1)
    kernel = [span.kernel for span in spans]
    taps[tuple(map(slice, kernel))] = np.arange(prod(kernel)).reshape(kernel)
    split = taps.reshape([n for span in spans for n in (span.reach + 1, span.stride)])
    return split.transpose(*range(0, split.ndim, 2), *range(1, split.ndim, 2))


def _single(spans: Spans) -> Span | None:
    """The span, if there is only one and it has only one window."""
    return spans[0] if len(spans) == 1 and spans[0].outputs == 1 else None


def _dense(spans: Spans) -> bool:
    return all(span.stride == 1 for span in spans)


def _taps(x: Array, spans: Spans, fill: float) -> Iterator[Array]:
    """For each element of the kernel, in scan order, the elements of x under it in all windows.

    Outside of x, strided taps have `fill`, each on its own, as part of what reads it: a filled copy of x would take
    longer than the rest. Dense taps are as large as x, so they are of one copy, which has the lowest number there.
    """
    if _dense(spans):
        for span in spans:
            x = span.fit(x, _lowest(x))
        spans = tuple(replace(span, size=span.padded, pad=0) for span in spans)
    x = stored(x)
    for offsets in np.ndindex(*(span.kernel for span in spans)):
        start, stop, stride, config = [0] * x.ndim, list(x.shape), [1] * x.ndim, [(0, 0, 0)] * x.ndim
        for span, k in zip(spans, offsets, strict=True):
            first, last = span.windows_inside(k)
            start[span.axis] = place = min(max(0, first * span.stride + k - span.pad), span.size)
            stop[span.axis], stride[span.axis] = place + max(0, (last - first - 1) * span.stride + 1), span.stride
            config[span.axis] = (first, span.outputs - last, 0)
        yield lax.pad(lax.slice(x, start, stop, stride), jnp.asarray(fill, x.dtype), config)


def _moved(channels: int, spans: Spans) -> Spans:
    """The spans of (N, C, H, W) when the channels are in axis `channels`."""
    return tuple(replace(span, axis=moved(span.axis, channels)) for span in spans)


def first_maximum(x: Array, windows: Spans) -> Array:
    """The index of each window's first maximum in its plane of rows · columns, in x's type; −1 if there is none."""
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
    """The maximum of every window and its place, by one gather; of equal maxima, the first."""
    fitted, fitted_places = span.fit(values, _lowest(values)), span.fit(places, -1)
    at = span.axis + 1
    taps, places = (jnp.take(v, span.places(), span.axis) for v in (fitted, fitted_places))
    first = jnp.argmax(taps, at, keepdims=True)
    return tuple(jnp.take_along_axis(v, first, at).squeeze(at) for v in (taps, places))  # type: ignore[return-value]


def random_pool(x: Array, windows: Spans, key: Array) -> Array:
    """One element of every window, drawn with a probability proportional to its value (values are ≥ 0).

    Zeiler and Fergus, "Stochastic pooling", 2013: the first element at which the running sum reaches u · Σ, u uniform.
    """
    taps = _elements(x, windows)
    running = lax.associative_scan(jnp.add, lax.stop_gradient(taps))
    threshold = jax.random.uniform(key, running.shape[1:], x.dtype) * running[-1]
    chosen = jnp.argmax(running >= threshold, 0)
    return jnp.sum(jnp.where(lax.broadcasted_iota(chosen.dtype, taps.shape, 0) == chosen, taps, 0), 0)


def weighted_pool(x: Array, windows: Spans) -> Array:
    """The mean of every window weighted by its own values, Σx² / Σx; 0 where Σx is not positive."""
    taps = _elements(x, windows)
    total = jnp.sum(taps, 0)
    positive = total > 0
    return jnp.where(positive, jnp.sum(taps * taps, 0) / jnp.where(positive, total, 1), 0)


def _elements(x: Array, windows: Spans) -> Array:
    """The elements of every window in scan order, 0 outside of x: (kernel · kernel, N, C, outputs, outputs)."""
    rows, columns = windows
    taps = columns.elements(columns.fit(rows.fit(x, 0), 0))
    taps = replace(rows, axis=rows.axis + 1).elements(taps)
    return taps.reshape(rows.kernel * columns.kernel, *taps.shape[2:])


def average_pool(x: Array, windows: Spans) -> Array:
    """The sum of every window divided by its size (`Span.sizes`), which ends where the pad at the axis's end does."""
    for span in reversed(windows):
        sizes = np.expand_dims(span.sizes(), tuple(range(1, x.ndim - span.axis))).astype(x.dtype)
        x = (span.reduced(span.fit(x, 0), 0, lax.add) if span.reduced_by_xla else _sum_along(x, span)) / sizes
    return x


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def _sum_along(x: Array, span: Span) -> Array:
    return where_fastest(lambda channels, x: _sums(x, *_moved(channels, (span,))), x)


def _sum_fwd(x: Array, span: Span) -> tuple[Array, None]:
    return _sum_along(x, span), None


def _sum_bwd(span: Span, _: None, dy: Array) -> tuple[Array]:
    def spread(channels: int, dy: Array) -> Array:
        (here,) = _moved(channels, (span,))
        if here.outputs == 1:
            shape = (*dy.shape[: here.axis], here.kernel, *dy.shape[here.axis + 1 :])
            return here.cut(jnp.broadcast_to(dy, shape))
        return here.spread([dy] * here.kernel)

    return (where_fastest(spread, dy),)


_sum_along.defvjp(_sum_fwd, _sum_bwd)


def _sums(x: Array, span: Span) -> Array:
    fitted = span.fit(x, 0)
    if span.outputs == 1:
        return jnp.sum(fitted, span.axis, keepdims=True)
    return sum((span.tap(fitted, k) for k in range(1, span.kernel)), span.tap(fitted, 0))
