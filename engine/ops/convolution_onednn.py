"""Forms of a convolution's three products that call oneDNN, for two spatial axes and float32.

Everything is computed channels-last; see `engine.ops.channels` for the cost. oneDNN offers only the forward
convolution, so the gradient of x is a forward convolution with the flipped kernel. A 1×1 kernel without pad is a matrix
product: always for the gradient of x (0.7 to 1.0 of the convolution's time), and for y if the map is small or strided
(0.7 at 7×7). For other y it gains nothing, and XLA would compute the input twice: as a map for others, and as rows for
the product.

The gradient of w has six forms, chosen by what was fastest on 2 cores with AVX-512, where products of square matrices
reach 440 GFLOP/s:

| kernel | form | why |
|---|---|---|
| depthwise | sums of products of blobs | it contains no matrix product |
| 1×1 without pad | one matrix product | 350–450 GFLOP/s: it is nothing else |
| up to 32 elements, of all channels | a matrix product an image, with its columns | they are hardly larger than dy |
| 3×3, stride 1, 32 channels, 28×28 or more | Winograd's F(4,3) | 4 times fewer multiplications; less on small maps |
| 3×3, 48 channels or more on both sides | a matrix product per tap | the rows are long enough for products |
| others | a forward convolution of x by dy, batch and channels swapped, in blocks | few channels, or many taps |

Arrays and names are those of `engine.ops.convolution`.
"""

import itertools
from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from engine.ops import onednn
from engine.ops.channels import first, last, rows
from engine.ops.im2col import columns
from engine.ops.window import Window

Array = jax.Array
Pair = tuple[int, int]

PLAIN: Pair = (1, 1)

FEW = 64
"""More groups are left to other forms: the weight gradient of each group is a separate call."""

TAPS = 25
"""Depthwise kernels with more elements are left to other forms too: each element is an operation."""

SMALL = 100
"""A map is small up to this many elements."""

COLUMNS = 32
"""The most elements of a kernel over all channels whose columns are laid out, if that takes no more memory than twice
dy. 3×3 of a colour image has 27."""

BLOCK = 2**20
"""The bytes of dy that one convolution takes as its kernel. oneDNN reads the kernel anew for each channel of x and row
of the result: from the L2 cache, of 1 or 2 MB, it takes half the time or less."""

DEPTH = 16
"""Each block has this many images or more: they are what its products sum over."""

PARTS = 8
"""The number of parts of a batch that are added element by element before the sum over rows."""


def fits(x_shape: Sequence[int], dtype: Any, w_shape: Sequence[int], window: Window, groups: int) -> bool:
    """Whether these forms can compute such a convolution, and are faster than those of `convolution_cpu`."""
    if len(window.kernel) != 2 or dtype not in (jnp.float32, jnp.bfloat16) or prod(x_shape) == 0:
        return False
    by_channel = 1 < groups == x_shape[1]
    return w_shape[0] == groups and prod(window.kernel) <= TAPS if by_channel else groups <= FEW


def forward(x: Array, w: Array, b: Array | None, window: Window, groups: int) -> Array:
    if _pointwise(window, groups) and (window.stride != PLAIN or prod(x.shape[2:]) <= SMALL):
        tap = _tap(last(x), (0, 0), window.outputs(x.shape[2:]), window)
        return first(
            onednn.product(rows(tap), lax.squeeze(w, (2, 3)), b, transposed="b").reshape(*tap.shape[:3], len(w))
        )
    image, pads = _padded(last(x), [(p, p) for p in window.pad], window)
    y = onednn.convolution(image, w, b, strides=window.stride, padding=pads, dilation=window.dilation, groups=groups)
    return first(y)


def _padded(x: Array, pads: list[Pair], window: Window) -> tuple[Array, list[Pair]]:
    """x (N, H, W, C) and the pads that are left to oneDNN: all of them or none.

    If a window may lie entirely in padding, oneDNN's kernels read outside of x, which occasionally crashes.
    """
    sizes = zip(x.shape[1:3], window.extent, pads, strict=True)
    if all(max(pad) < extent <= size for size, extent, pad in sizes):
        return x, pads
    return _fit(x, [(low, high, 0) for low, high in pads]), [(0, 0)] * 2


def input_gradient(dy: Array, w: Array, x_shape: Sequence[int], window: Window, groups: int) -> Array:
    """The convolution of dy, with stride − 1 zeros between its elements, with the flipped kernel."""
    ends = window.transposed_pads(x_shape[2:], dy.shape[2:])
    if _pointwise(window, groups):
        dx = onednn.product(rows(last(dy)), lax.squeeze(w, (2, 3))).reshape(dy.shape[0], *dy.shape[2:], x_shape[1])
        return first(_fit(dx, ends))
    kernel = "IOHW"
    if groups > 1:  # within each group, outputs and inputs change places
        w, kernel = w.reshape(groups, -1, *w.shape[1:]).swapaxes(1, 2).reshape(x_shape[1], -1, *w.shape[2:]), "OIHW"
    if window.kernel != (1, 1):
        w = lax.rev(w, (2, 3))
    axes = ("NHWC", kernel, "NHWC")
    if window.kernel == (1, 1):
        return first(_fit(onednn.convolution(last(dy), w, groups=groups, axes=axes), ends))
    if min(end for low, high, _ in ends for end in (low, high)) < 0:  # where one end cuts, the other may add again
        image, pads = _fit(last(dy), ends), [(0, 0)] * 2
    else:
        spread = _fit(last(dy), [(0, 0, between) for *_, between in ends])
        image, pads = _padded(spread, [(low, high) for low, high, _ in ends], window)
    return first(onednn.convolution(image, w, padding=pads, dilation=window.dilation, groups=groups, axes=axes))


def weight_gradient(x: Array, dy: Array, w_shape: Sequence[int], window: Window, groups: int) -> Array:
    image, outer = last(x), last(dy)
    if groups == 1:
        return _weight_gradient(image, outer, window)
    if groups == x.shape[1]:
        return _sums_by_tap(image, outer, window)
    pairs = zip(jnp.split(image, groups, 3), jnp.split(outer, groups, 3), strict=True)
    return jnp.concatenate([_weight_gradient(a, b, window) for a, b in pairs])


def _weight_gradient(x: Array, dy: Array, window: Window) -> Array:
    """The gradient of w, not grouped, from x and dy with channels last."""
    if _pointwise(window, 1):
        return _products_by_tap(x, dy, window)
    if x.shape[3] * prod(window.kernel) <= min(COLUMNS, 2 * dy.shape[3]):
        return _product_of_columns(x, dy, window)
    if window.kernel == (3, 3) and window.dilation == PLAIN:
        if window.stride == PLAIN and x.shape[3] >= 32 and min(dy.shape[1:3]) >= 28:
            return _winograd(x, dy, window)
        if min(x.shape[3], dy.shape[3]) >= 48:
            return _products_by_tap(x, dy, window)
    return _swapped(x, dy, window)


def _product_of_columns(x: Array, dy: Array, window: Window) -> Array:
    """The sum over images of the product of x's columns, (C · count(kernel), H · W), with dy's rows."""
    by_image = columns(first(x), window).reshape(len(x), x.shape[3] * prod(window.kernel), -1)
    products = onednn.product(by_image, dy.reshape(len(x), -1, dy.shape[3]))
    return products.sum(0).T.reshape(dy.shape[3], x.shape[3], *window.kernel)


def _swapped(x: Array, dy: Array, window: Window) -> Array:
    """A forward convolution whose batch is x's channels, whose channels are the batch, and whose kernel is dy.

    Stride and dilation change places too. A large dy is taken in blocks of images and rows, whose results are added.
    """
    fitted = _fit(x, [(p, p, 0) for p in window.pad])
    blocks = -(-dy.size * dy.dtype.itemsize // BLOCK)
    of_images = _parts(len(x), min(blocks, len(x) // DEPTH))
    of_rows = _parts(dy.shape[1], -(-blocks // sum(part.pieces for part in of_images)))
    sums = [_sum_of_blocks(fitted, dy, window, *parts) for parts in itertools.product(of_images, of_rows)]
    return sum(sums[1:], sums[0]).transpose(3, 0, 1, 2)


class _Part(NamedTuple):
    """The part of an axis from `first` that consists of so many pieces of `size`."""

    first: int
    size: int
    pieces: int


def _parts(length: int, pieces: int) -> list[_Part]:
    """An axis in about this many pieces, at least one; the last one may be smaller, and is then a part of its own."""
    size = -(-length // max(1, min(pieces, length)))
    count, rest = divmod(length, size)
    return [_Part(0, size, count), *([_Part(count * size, rest, 1)] if rest else [])]


def _sum_of_blocks(fitted: Array, dy: Array, window: Window, images: _Part, rows: _Part) -> Array:
    """The sum of the convolutions of equal blocks, (C, *kernel, M): a loop, so that it is compiled once.

    The image has to be transposed in memory: see `onednn.convolution`.
    """
    (stride, extent), (high, wide) = (window.stride[0], window.extent[0]), window.kernel

    def convolved(block: int | Array) -> Array:
        n, h = images.first + block // rows.pieces * images.size, rows.first + block % rows.pieces * rows.size
        covered = (rows.size - 1) * stride + extent
        image = lax.dynamic_slice(fitted, (n, h * stride, 0, 0), (images.size, covered, *fitted.shape[2:]))
        kernel = lax.dynamic_slice(dy, (n, h, 0, 0), (images.size, rows.size, *dy.shape[2:]))
        result = onednn.convolution(
            image.transpose(3, 1, 2, 0),
            kernel,
            strides=window.dilation,
            dilation=window.stride,
            axes=("NHWC", "IHWO", "NHWC"),
        )
        return result[:, :high, :wide]

    if (count := images.pieces * rows.pieces) == 1:
        return convolved(0)
    nothing = jnp.zeros((fitted.shape[3], high, wide, dy.shape[3]), dy.dtype)
    return lax.fori_loop(0, count, lambda block, total: total + convolved(block), nothing)


def _products_by_tap(x: Array, dy: Array, window: Window) -> Array:
    """For each kernel element, the matrix product of dy's rows with the rows of x under that element."""
    fitted, outer = _fit(x, [(p, p, 0) for p in window.pad]), rows(dy)
    taps = [_tap(fitted, offset, dy.shape[1:3], window) for offset in np.ndindex(*window.kernel)]
    products = [onednn.product(outer, rows(tap), transposed="a") for tap in taps]
    return jnp.stack(products, -1).reshape(dy.shape[3], x.shape[3], *window.kernel)


def _sums_by_tap(x: Array, dy: Array, window: Window) -> Array:
    """For a depthwise kernel: for each element, the sum of dy times the inputs under it.

    A sum of products over rows is a slow loop; a sum over parts of the batch runs along the channels. The barrier keeps
    XLA from merging the two sums.
    """
    parts = min(PARTS, x.shape[0])
    more = (0, -x.shape[0] % parts, 0)
    zero = jnp.zeros((), x.dtype)
    fitted = lax.pad(x, zero, [more, *((p, p, 0) for p in window.pad), (0, 0, 0)])
    outer = lax.pad(dy, zero, [more, (0, 0, 0), (0, 0, 0), (0, 0, 0)])
    products = []
    for i, j in np.ndindex(window.kernel):
        tap = _tap(fitted, (i, j), dy.shape[1:3], window)
        terms = [a * b for a, b in zip(jnp.split(tap, parts), jnp.split(outer, parts), strict=True)]
        products.append(sum(terms[1:], terms[0]))
    by_tap = lax.optimization_barrier(jnp.stack(products))
    sums = by_tap.reshape(len(products), -1, x.shape[3]).sum(1)
    return sums.T.reshape(x.shape[3], 1, *window.kernel)


def _tap(fitted: Array, offset: tuple[int, int], outputs: Sequence[int], window: Window) -> Array:
    """The part of a padded x (N, H, W, C) under the kernel element at `offset`."""
    steps = zip(offset, outputs, window.stride, window.dilation, strict=True)
    (a, b, s), (c, d, t) = ((k * e, k * e + (n - 1) * stride + 1, stride) for k, n, stride, e in steps)
    return fitted[:, a:b:s, c:d:t]


# Winograd's minimal filtering F(4×4, 3×3), transposed for the gradient of the kernel (Lavin and Gray 2015, section 4.2)

_DATA = np.array(
    [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ],
    np.float32,
)
_KERNEL = np.array(
    [[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]],
    np.float32,
) / np.float32(24)
_OUTPUT = np.array(
    [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]],
    np.float32,
)


def _winograd(x: Array, dy: Array, window: Window) -> Array:
    """dw = Gᵀ [Σ over tiles of (A dy Aᵀ) ⊗ (Bᵀ x B)] G; the sums are 36 matrix products over the rows of 4×4 tiles."""
    tiles = [-(-n // 4) for n in dy.shape[1:3]]
    sizes = list(zip(tiles, window.pad, x.shape[1:3], dy.shape[1:3], strict=True))
    data = lax.optimization_barrier(_fit(x, [(p, 4 * t + 2 - n - p, 0) for t, p, n, _ in sizes]))
    outer = lax.optimization_barrier(_fit(dy, [(0, 4 * t - n, 0) for t, _, _, n in sizes]))
    transformed = _transformed(_OUTPUT.T, outer, tiles), _transformed(_DATA, data, tiles)
    products = onednn.product(*transformed, transposed="a")
    by_tile = products.reshape(6, 6, dy.shape[3], x.shape[3])
    return jnp.einsum("ui,vj,uvmc->mcij", _KERNEL, _KERNEL, by_tile)


def _transformed(matrix: np.ndarray, x: Array, tiles: list[int]) -> Array:
    """T d Tᵀ for every tile d of x (N, H, W, C), tiles being 4 elements apart: (36, N · tiles, C).

    Each factor is a single array of all its rows: one array per row, or per pair of rows, took 4 times longer to
    compile.
    """
    size = range(matrix.shape[1])
    high, wide = (4 * (t - 1) + 1 for t in tiles)
    halves = jnp.stack([_combined(row, [x[:, i : i + high : 4] for i in size]) for row in matrix])
    both = jnp.stack([_combined(row, [halves[:, :, :, j : j + wide : 4] for j in size]) for row in matrix], 1)
    return both.reshape(len(matrix) ** 2, -1, x.shape[3])


def _combined(scales: np.ndarray, parts: list[Array]) -> Array:
    """Σ scale · part. Scales of 0 and 1 take no operation."""
    terms = [part if scale == 1 else scale * part for scale, part in zip(scales, parts, strict=True) if scale]
    return sum(terms[1:], terms[0])


def _pointwise(window: Window, groups: int) -> bool:
    """Whether the convolution is a single matrix product."""
    return window.kernel == (1, 1) and window.pad == (0, 0) and groups == 1


def _fit(x: Array, ends: Sequence[tuple[int, int, int]]) -> Array:
    """x (N, H, W, C) with zeros before, behind and between the elements of each spatial axis; negative ends cut."""
    if not any(any(end) for end in ends):
        return x
    return lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *ends, (0, 0, 0)])
