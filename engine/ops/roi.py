"""Pooling over regions of a feature map, where each region, whatever its size, is cut into a grid of bins.

Arrays: x (N, C, H, W), one map per picture; R regions, of which region r belongs to the picture pictures[r].
"""

import math
from functools import partial, reduce

import jax
import jax.numpy as jnp
from jax import lax

from engine.ops import platform
from engine.ops.rounded import divided

Array = jax.Array
Bounds = tuple[Array, Array]
"""Where bins begin and end (exclusive) along one axis, both (R, bins)."""
Found = tuple[Array, ...]
"""Maxima, and optionally the index of each in its H · W plane."""

TABLE = 1 << 24
"""The limit on the bytes of a table of window maxima, unless a single channel takes more."""

COMPARISONS = 1 << 28
"""The limit on comparisons of elements with bins at a time on a GPU, unless a single channel takes more."""


@jax.custom_vjp
def max_of_bins(x: Array, pictures: Array, rows: Bounds, columns: Bounds, pulls: Array) -> Array:
    """(R, C, bins of rows, bins of columns): the maximum of every bin; 0 for an empty bin, NaN for an unknown picture.

    The gradient goes to the first maximum in scan order, and only for the regions with `pulls` (R).
    """
    return _search(x, pictures, rows, columns, places=False)[0]


def _search(x: Array, pictures: Array, rows: Bounds, columns: Bounds, *, places: bool) -> Found:
    """The maxima, and with `places` the index of each in its H · W plane, −1 for none.

    Four windows whose sides are powers of two cover each bin, so it takes four look-ups in a table of window maxima (a
    sparse table, Bender and Farach-Colton 2000), whatever its size. Channels are processed in blocks whose tables fit
    into a cache.
    """
    channels = x.shape[1]
    blocks = _blocks(x.shape, 2 if places else 1)
    each = -(-channels // blocks)
    padded = jnp.pad(x, ((0, 0), (0, blocks * each - channels), (0, 0), (0, 0)))
    by_block = jnp.moveaxis(padded.reshape(len(x), blocks, each, *x.shape[2:]), (1, 2), (0, -1))
    valid = ((pictures >= 0) & (pictures < len(x)))[:, None, None, None]
    corners, full = _corners(x.shape, jnp.where(valid[:, 0, 0, 0], pictures, 0), rows, columns)

    def of_block(block: Array) -> Found:
        tables = [table.reshape(-1, each) for table in _windows(block, places=places)]
        candidates = [tuple(jnp.take(table, at, 0, mode="clip") for table in tables) for at in corners]
        value, *where = reduce(_better, candidates)
        value = jnp.where(valid, jnp.where(full, value, 0), jnp.nan)
        return tuple(jnp.moveaxis(v, -1, 1) for v in (value, *(jnp.where(full, w, -1) for w in where)))

    shape = len(pictures), blocks * each, *full.shape[1:3]
    return tuple(jnp.moveaxis(v, 0, 1).reshape(shape)[:, :channels] for v in lax.map(of_block, by_block))


def _blocks(shape: tuple[int, ...], tables: int) -> int:
    """The number of blocks that channels are split into, so that the tables of a block stay below TABLE."""
    total_bytes = 4 * tables * math.prod(shape) * shape[2].bit_length() * shape[3].bit_length()
    return max(1, min(shape[1], -(-total_bytes // TABLE)))


def _windows(x: Array, *, places: bool) -> Found:
    """The maxima of x (N, H, W, C) in the 2^a × 2^b windows that begin at each place, and with `places` their indices:
    (a · b, N, H, W, C). A window that would reach over the border is replaced by one inside."""
    height, width = x.shape[1:3]
    place = jnp.arange(height * width, dtype=jnp.int32).reshape(height, width, 1)
    single = (x, jnp.broadcast_to(place, x.shape)) if places else (x,)
    windows = [wide for tall in _doubled(single, 1) for wide in _doubled(tall, 2)]
    return tuple(jnp.stack(table) for table in zip(*windows, strict=True))


def _doubled(window: Found, axis: int) -> list[Found]:
    """The maxima of windows, and of windows 2, 4, … times as long along an axis."""
    size, sizes, length = window[0].shape[axis], [window], 1

    def part(maxima: Found, start: int, stop: int) -> Found:
        return tuple(lax.slice_in_dim(v, start, stop, axis=axis) for v in maxima)

    while 2 * length <= size:
        last = sizes[-1]
        longer = _better(part(last, 0, size - length), part(last, length, size))
        doubled = tuple(jnp.concatenate(v, axis) for v in zip(longer, part(last, size - length, size), strict=True))
        sizes.append(lax.optimization_barrier(doubled))  # otherwise XLA recomputes each size for all that follow
        length *= 2
    return sizes


def _better(a: Found, b: Found) -> Found:
    """The larger of the values; with places, the first of equal ones."""
    ahead = b[0] > a[0]
    if len(a) == 2:
        ahead |= (b[0] == a[0]) & (b[1] < a[1])
    return tuple(jnp.where(ahead, theirs, ours) for ours, theirs in zip(a, b, strict=True))


def _corners(shape: tuple[int, ...], picture: Array, rows: Bounds, columns: Bounds) -> tuple[list[Array], Array]:
    """The rows of the table with the four windows that cover each bin, and which bins aren't empty."""
    (tall, *at_rows), (wide, *at_columns) = (_cover(bounds) for bounds in (rows, columns))
    level = (tall[:, :, None] * shape[3].bit_length() + wide[:, None]) * shape[0] + picture[:, None, None]
    places = [
        (level * shape[2] + row[:, :, None]) * shape[3] + column[:, None] for row in at_rows for column in at_columns
    ]
    full = (rows[1] > rows[0])[:, :, None] & (columns[1] > columns[0])[:, None]
    return places, full[..., None]


def _cover(bounds: Bounds) -> tuple[Array, Array, Array]:
    """The base-2 logarithm of the longest window that fits into each bin, and its start at either end of the bin."""
    start, end = bounds
    level = 31 - lax.clz(jnp.maximum(end - start, 1))
    return level, start, jnp.maximum(end - (1 << level), start)


def _max_fwd(
    x: Array, pictures: Array, rows: Bounds, columns: Bounds, pulls: Array
) -> tuple[Array, tuple[Array, Array, Array, Array]]:
    best, where = _search(x, pictures, rows, columns, places=True)
    return best, (x, pictures, where, pulls)


def _max_bwd(saved: tuple[Array, Array, Array, Array], dy: Array) -> tuple[Array, None, None, None, None]:
    x, pictures, where, pulls = saved
    valid_dy = jnp.where((where >= 0) & pulls[:, None, None, None], dy, 0)
    flat = (*where.shape[:2], where.shape[2] * where.shape[3])
    one_by_one, compared = (partial(form, shape=x.shape) for form in (_added, to_maxima))
    arguments = valid_dy.reshape(flat), pictures, where.reshape(flat)
    dx: Array = platform.dependent(*arguments, cpu=one_by_one, default=compared)
    return dx, None, None, None, None


def _added(dy: Array, pictures: Array, where: Array, shape: tuple[int, ...]) -> Array:
    flat = jnp.zeros((*shape[:2], shape[2] * shape[3]), dy.dtype)
    picture = jnp.broadcast_to(pictures[:, None, None], where.shape)
    return flat.at[picture, jnp.arange(shape[1])[:, None], where].add(dy, mode="drop").reshape(shape)


def to_maxima(dy: Array, pictures: Array, where: Array, shape: tuple[int, ...]) -> Array:
    """The gradient of x (N, C, H, W) from the bins' gradients dy (R, C, bins), whose maxima are at `where`.

    For a GPU, whose threads would add to an element in undefined order, with another sum in each run: here every
    element looks through all bins for those whose maximum it is. Channels are processed in blocks, so that the number
    of comparisons fits into 32 bits.
    """
    pictures_n, channels, plane = *shape[:2], shape[2] * shape[3]
    each = max(1, min(channels, COMPARISONS // max(1, pictures_n * plane * dy.shape[0] * dy.shape[2])))
    blocks = -(-channels // each)

    def by_block(values: Array) -> Array:
        padded = jnp.pad(values, ((0, 0), (0, blocks * each - channels), (0, 0)))
        return jnp.moveaxis(padded.reshape(len(values), blocks, each, values.shape[2]), 1, 0)

    mine = (pictures[:, None] == jnp.arange(pictures_n))[:, :, None, None, None]

    def of_block(block: tuple[Array, Array]) -> Array:
        gradient, place = (v[:, None, :, :, None] for v in block)
        return jnp.sum(jnp.where(mine & (place == jnp.arange(plane)), gradient, 0), (0, 3))

    dx = jnp.moveaxis(lax.map(of_block, (by_block(dy), by_block(where))), 0, 1)
    return dx.reshape(pictures_n, blocks * each, plane)[:, :channels].reshape(shape)


max_of_bins.defvjp(_max_fwd, _max_bwd)


def weighted_bins(x: Array, pictures: Array, rows: Array, columns: Array) -> Array:
    """Σ over h, w of rows[r, i, h] · columns[r, j, w] · x[pictures[r], c, i, j, h, w]: (R, c, i, j).

    x (N, c, i, j, H, W), or (N, c, 1, 1, H, W) if all bins see the same map. NaN for regions of an unknown picture.
    """
    member = (pictures[:, None] == jnp.arange(x.shape[0])).astype(x.dtype)
    by_picture = member[:, :, None, None] * rows[:, None]
    shared = x.shape[2] == 1
    if shared:
        across = jnp.einsum("nchw,rnih->rciw", x[:, :, 0, 0], by_picture)
        y = jnp.einsum("rciw,rjw->rcij", across, columns)
    else:
        across = jnp.einsum("ncijhw,rnih->rcijw", x, by_picture)
        y = jnp.einsum("rcijw,rjw->rcij", across, columns)
    valid = (pictures >= 0) & (pictures < x.shape[0])
    return jnp.where(valid[:, None, None, None], y, jnp.nan)


def span_weights(start: Array, end: Array, size: int) -> Array:
    """(R, bins, size): 1 / (end − start) for the elements in [start, end), both (R, bins); else 0."""
    places = jnp.arange(size)
    inside = (places >= start[..., None]) & (places < end[..., None])
    return inside / jnp.maximum(end - start, 1)[..., None].astype(jnp.float32)


def sample_weights(at: Array, size: int, beyond: float = 1) -> Array:
    """(R, bins, size): linear interpolation weights at the places `at` (R, bins, samples), averaged over samples.

    A place up to `beyond` outside of the map counts as the border, one further out as 0. In Detectron's ROIAlign,
    `beyond` is 1.
    """
    outside = (at < -beyond) | (at > size - 1 + beyond)
    clipped = jnp.clip(at, 0, size - 1)[..., None]
    weights = jnp.maximum(0, 1 - jnp.abs(clipped - jnp.arange(size)))
    return jnp.mean(jnp.where(outside[..., None], 0, weights), axis=-2)


def round_half_away(x: Array) -> Array:
    """The nearest integer, with halves rounded away from 0, like C's round."""
    return jnp.sign(x) * jnp.floor(jnp.abs(x) + 0.5)


def bin_lengths(lengths: Array, bins: int) -> Array:
    """lengths (R) / bins, rounded once: (R, 1). With one more unit in the last place, a bin would reach an element
    further."""
    return divided(lengths, bins)[:, None]
