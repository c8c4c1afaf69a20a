"""Forms of a convolution's three products that are fast on a CPU, where some of XLA's own are slow.

Pointwise kernels become matrix products. Groups are computed one by one; depthwise convolutions multiply and add the
taps. A weight gradient is a matrix product in which the taps are laid out along the last axis only: wide enough for the
product, without the memory that all columns would take. Arrays and names are those of `engine.ops.convolution`.
"""

from collections.abc import Sequence
from itertools import product
from math import prod

import jax
import jax.numpy as jnp
from jax import lax

from engine.ops import channels
from engine.ops.convolution_xla import apart
from engine.ops.window import Window

Array = jax.Array

FEW = 121
"""Larger kernels, and more groups, are left to XLA: each element or group would be an operation to compile."""

MIDDLING = range(5, 48)
"""Numbers of input channels for which XLA's weight gradient is faster (0.4 to 0.7 of the time of matrix products;
2 cores, AVX2)."""


def takes(channels: int, w_shape: Sequence[int], groups: int) -> bool:
    """Whether these forms suit a convolution with that many input channels and groups."""
    return groups <= FEW or _depthwise(channels, w_shape, groups)


def forward(x: Array, w: Array, b: Array | None, window: Window, groups: int) -> Array:
    y = _product(x, w, window, groups)
    return y if b is None else y + channels.along(b, y)


def _product(x: Array, w: Array, window: Window, groups: int) -> Array:
    if _depthwise(x.shape[1], w.shape, groups):
        return _scaled_taps(_fit(x, [(p, p, 0) for p in window.pad]), w, window)
    if groups > 1:
        return apart(lambda x, w: _product(x, w, window, 1), groups, (x, 1), (w, 0), joined=1)
    if _pointwise(window):
        return _unflat(jnp.einsum("mc,ncp->nmp", _matrix(w), _flat(_thin(x, window))), window.outputs(x.shape[2:]))
    return lax.conv_general_dilated(x, w, window.stride, [(p, p) for p in window.pad], rhs_dilation=window.dilation)


def input_gradient(dy: Array, w: Array, x_shape: Sequence[int], window: Window, groups: int) -> Array:
    """The convolution of dy, with stride − 1 zeros between its elements, with the flipped kernel."""
    inputs = x_shape[2:]
    ends = window.transposed_pads(inputs, dy.shape[2:])
    if _depthwise(x_shape[1], w.shape, groups) and w.shape[0] == groups:
        return _scaled_taps(_fit(dy, ends), _flip(w), window.dense)
    if groups > 1:
        shape = (x_shape[0], x_shape[1] // groups, *inputs)
        return apart(lambda dy, w: input_gradient(dy, w, shape, window, 1), groups, (dy, 1), (w, 0), joined=1)
    if _pointwise(window):
        return _fit(_unflat(jnp.einsum("mc,nmp->ncp", _matrix(w), _flat(dy)), dy.shape[2:]), ends)
    return lax.conv_general_dilated(
        dy,
        _flip(w).swapaxes(0, 1),
        (1,) * len(inputs),
        [(low, high) for low, high, _ in ends],
        lhs_dilation=window.stride,
        rhs_dilation=window.dilation,
    )


def weight_gradient(x: Array, dy: Array, w_shape: Sequence[int], window: Window, groups: int) -> Array:
    if _depthwise(x.shape[1], w_shape, groups):
        fitted = _fit(x, [(p, p, 0) for p in window.pad])
        by_channel = dy.reshape(dy.shape[0], groups, dy.shape[1] // groups, *dy.shape[2:])
        sums = [jnp.einsum("nc...,ncm...->cm", tap, by_channel) for tap in _taps(fitted, window)]
        return jnp.stack(sums, -1).reshape(w_shape)
    if groups > 1:
        shape = (w_shape[0] // groups, *w_shape[1:])
        return apart(lambda x, dy: weight_gradient(x, dy, shape, window, 1), groups, (x, 1), (dy, 1), joined=0)
    if _pointwise(window):
        return jnp.einsum("ncp,nmp->mc", _flat(_thin(x, window)), _flat(dy)).reshape(w_shape)
    if prod(window.kernel) > FEW or x.shape[1] in MIDDLING:
        return _transposed(x, dy, w_shape, window)
    return _row_products(x, dy, window)


def _row_products(x: Array, dy: Array, window: Window) -> Array:
    """One matrix product for each offset along all axes but the last; offsets along the last lie side by side."""
    channels_last = jnp.moveaxis(_fit(x, [(p, p, 0) for p in window.pad]), 1, -1)
    last = len(window.kernel) - 1
    rows = [_tap(channels_last, window, {last: k}, first=1) for k in range(window.kernel[last])]
    side_by_side = jnp.concatenate(rows, -1)
    outer = channels.rows(jnp.moveaxis(dy, 1, -1))
    products = []
    for offset in product(*map(range, window.kernel[:last])):
        tap = _tap(side_by_side, window, dict(enumerate(offset)), first=1)
        products.append(channels.rows(tap).T @ outer)
    by_tap = jnp.stack(products).reshape(*window.kernel, x.shape[1], dy.shape[1])
    return jnp.moveaxis(by_tap, (-1, -2), (0, 1))


def _transposed(x: Array, dy: Array, w_shape: Sequence[int], window: Window) -> Array:
    w = jax.ShapeDtypeStruct(tuple(w_shape), x.dtype)
    return jax.linear_transpose(lambda w: _product(x, w, window, 1), w)(dy)[0]


def _scaled_taps(fitted: Array, w: Array, window: Window) -> Array:
    """Σ over k of w[:, 0, k] · the k-th tap: each channel has its own kernel, or several."""
    channels = fitted.shape[1]
    taps = _taps(fitted, window)
    scales = w.reshape(channels, -1, len(taps))
    ones = (1,) * len(window.kernel)
    terms = [tap[:, :, None] * scales[..., k].reshape(channels, -1, *ones) for k, tap in enumerate(taps)]
    y = sum(terms[1:], terms[0])
    return y.reshape(y.shape[0], w.shape[0], *y.shape[3:])


def _taps(fitted: Array, window: Window) -> list[Array]:
    """The taps (N, C, *out) of a padded input: the inputs that each kernel element multiplies, in scan order."""
    return [_tap(fitted, window, dict(enumerate(offset))) for offset in product(*map(range, window.kernel))]


def _tap(fitted: Array, window: Window, offsets: dict[int, int], first: int = 2) -> Array:
    """The inputs under the kernel element at `offsets` (by spatial axis; others stay whole). first: spatial axis 0."""
    start, stop, stride = [0] * fitted.ndim, list(fitted.shape), [1] * fitted.ndim
    for i, k in offsets.items():
        axis = first + i
        outputs = (fitted.shape[axis] - window.extent[i]) // window.stride[i] + 1
        start[axis], stride[axis] = k * window.dilation[i], window.stride[i]
        stop[axis] = start[axis] + (outputs - 1) * window.stride[i] + 1
    return lax.slice(fitted, start, stop, stride)


def _fit(x: Array, ends: Sequence[tuple[int, int, int]]) -> Array:
    """x with zeros before, behind and between the elements of each spatial axis; negative ends cut."""
    return lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), (0, 0, 0), *ends])


def _thin(x: Array, window: Window) -> Array:
    """The inputs that a pointwise kernel multiplies."""
    return _tap(_fit(x, [(p, p, 0) for p in window.pad]), window, dict.fromkeys(range(len(window.kernel)), 0))


def _flat(x: Array) -> Array:
    return x.reshape(*x.shape[:2], prod(x.shape[2:]))


def _unflat(x: Array, spatial: Sequence[int]) -> Array:
    return x.reshape(*x.shape[:2], *spatial)


def _matrix(w: Array) -> Array:
    return w.reshape(w.shape[:2])


def _flip(w: Array) -> Array:
    return lax.rev(w, range(2, w.ndim))


def _pointwise(window: Window) -> bool:
    return prod(window.kernel) == 1


def _depthwise(channels: int, w_shape: Sequence[int], groups: int) -> bool:
    return 1 < groups == channels and prod(w_shape[2:]) <= FEW
