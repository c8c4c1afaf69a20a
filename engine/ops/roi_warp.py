"""Warps regions of a feature map to a grid, with gradients for their corners too: Multi-task Network Cascades (Dai, He,
Sun 2016, section 3.2), as daijifeng001/caffe-mnc computes it."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from engine.ops.roi import bin_lengths, round_half_away, sample_weights

Array = jax.Array
Bins = tuple[int, int]

LARGEST = 8
"""A region may be this many times as large as the map; its samples, several per element, are processed in turn."""


class _Axis(NamedTuple):
    """Regions along one axis of the map, which has `size` elements: where each begins and ends (R, 1), and its bins."""

    start: Array
    end: Array
    size: int
    bins: int

    def length(self) -> Array:
        return jnp.maximum(self.end - self.start, 0)

    def with_last(self) -> Array:
        """(R, 1): the length of a bin if the last element is included, which is so only in the gradients."""
        return bin_lengths(jnp.maximum(self.end - self.start + 1, 1)[:, 0], self.bins)


class _Samples(NamedTuple):
    """One sample of each bin of each region along an axis, both (R, bins): whether it exists, and its place."""

    valid: Array
    at: Array


class _Best(NamedTuple):
    """The largest value found in each bin (R, C, P, Q), and its row and column; −1 if none was found."""

    value: Array
    row: Array
    column: Array


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def warp(x: Array, rois: Array, bins: Bins, scale: float) -> Array:
    """(R, C, P, Q): for each bin of each region, the largest of the linearly interpolated samples in it.

    x (N, C, H, W); rois (R, 5): picture, x1, y1, x2, y2; corners times `scale`, rounded, are elements of the map. A bin
    is sampled from edge to edge, at places at most one element apart. NaN for regions of an unknown picture, or more
    than LARGEST times as large as the map.

    The gradient of x is that of the largest values, except for elements that the fork assigns to another bin. The
    gradient of rois is the fork's: 0 for the picture, then those of the centre, the width and the height, in elements
    of the map.
    """
    return _search(x, rois, bins, scale)[0].value


def _search(x: Array, rois: Array, bins: Bins, scale: float) -> tuple[_Best, Array]:
    """The largest values, and which regions (R) are valid, so that there is anything to find."""
    pictures, rows, columns = _axes(x, rois, bins, scale)
    fits = [axis.length()[:, 0] <= LARGEST * axis.size for axis in (rows, columns)]
    valid = (pictures >= 0) & (pictures < len(x)) & fits[0] & fits[1]
    member = (pictures[:, None] == jnp.arange(len(x))).astype(x.dtype)
    steps = [_steps(axis, valid) for axis in (rows, columns)]

    def down(state: tuple[Array, _Best]) -> tuple[Array, _Best]:
        offsets, best = state
        sampled = _sampled(rows, offsets)
        weights = member[:, :, None, None] * _weights(sampled, rows.size)[:, None]
        across = jnp.einsum("nchw,rnih->rciw", x, weights)

        def along(inner: tuple[Array, _Best]) -> tuple[Array, _Best]:
            offsets, best = inner
            return offsets + steps[1], _better(best, across, sampled, _sampled(columns, offsets), columns.size)

        _, best = lax.while_loop(lambda inner: _more(inner[0]), along, (_first(columns, valid), best))
        return offsets + steps[0], best

    shape = (len(rois), x.shape[1], *bins)
    none = _Best(jnp.full(shape, jnp.finfo(x.dtype).min, x.dtype), *[jnp.full(shape, -1, x.dtype)] * 2)
    _, best = lax.while_loop(lambda state: _more(state[0]), down, (_first(rows, valid), none))
    value = jnp.where((best.row == -1) & (best.column == -1), 0, best.value)
    return best._replace(value=jnp.where(valid[:, None, None, None], value, jnp.nan)), valid


def _axes(x: Array, rois: Array, bins: Bins, scale: float) -> tuple[Array, _Axis, _Axis]:
    x1, y1, x2, y2 = round_half_away(rois[:, 1:].T * scale)[..., None]
    rows, columns = _Axis(y1, y2, x.shape[2], bins[0]), _Axis(x1, x2, x.shape[3], bins[1])
    return rois[:, 0].astype(jnp.int32), rows, columns


def _first(axis: _Axis, valid: Array) -> Array:
    """(R, bins): where each bin begins, in bins; past its end for regions that aren't valid."""
    return jnp.arange(axis.bins, dtype=jnp.float32) + jnp.where(valid[:, None], 0, jnp.inf)


def _steps(axis: _Axis, valid: Array) -> Array:
    """(R, 1): the distance between samples, in bins; infinite if there is only one."""
    return 1 / jnp.where(valid[:, None], jnp.ceil(bin_lengths(axis.length()[:, 0], axis.bins)), 0)


def _more(offsets: Array) -> Array:
    return jnp.any(offsets <= jnp.arange(offsets.shape[1]) + 1)


def _sampled(axis: _Axis, offsets: Array) -> _Samples:
    """The samples at `offsets` (R, bins), in bins; none further than half an element outside of the map."""
    in_bin = offsets <= jnp.arange(axis.bins) + 1
    at = axis.start + jnp.where(in_bin, offsets, 0) * bin_lengths(axis.length()[:, 0], axis.bins)
    return _Samples(in_bin & (at >= -0.5) & (at <= axis.size - 0.5), jnp.clip(at, 0, axis.size - 1))


def _weights(sampled: _Samples, size: int) -> Array:
    """(R, bins, size): linear interpolation weights."""
    return sample_weights(sampled.at[..., None], size)


def _better(best: _Best, across: Array, rows: _Samples, columns: _Samples, size: int) -> _Best:
    value = jnp.einsum("rciw,rjw->rcij", across, _weights(columns, size))
    valid = rows.valid[:, None, :, None] & columns.valid[:, None, None, :]
    ahead = valid & (value > best.value)
    places = rows.at[:, None, :, None], columns.at[:, None, None, :]
    return _Best(*(jnp.where(ahead, new, old) for new, old in zip((value, *places), best, strict=True)))


def _forward(x: Array, rois: Array, bins: Bins, scale: float) -> tuple[Array, tuple[Array, Array, _Best, Array]]:
    best, valid = _search(x, rois, bins, scale)
    return best.value, (x, rois, best, valid)


def _backward(bins: Bins, scale: float, saved: tuple[Array, Array, _Best, Array], dy: Array) -> tuple[Array, Array]:
    x, rois, best, valid = saved
    pictures, rows, columns = _axes(x, rois, bins, scale)
    valid_dy = jnp.where(valid[:, None, None, None], dy, 0)
    indices = jnp.where(valid, pictures, 0)
    return _of_map(x, indices, best, valid_dy, rows, columns), _of_regions(x, indices, best, valid_dy, rows, columns)


def _of_map(x: Array, pictures: Array, best: _Best, dy: Array, rows: _Axis, columns: _Axis) -> Array:
    """The gradient of x, added region by region, each as a product: threads that add to one element have no order."""

    def add(dx: Array, region: tuple[Array, ...]) -> tuple[Array, None]:
        picture, row, column, mine, counts_down, counts_across = region
        down = jnp.maximum(0, 1 - jnp.abs(row[..., None] - jnp.arange(rows.size))) * counts_down[:, None]
        across = jnp.maximum(0, 1 - jnp.abs(column[..., None] - jnp.arange(columns.size))) * counts_across
        part = jnp.einsum("cpqh,cpqw->chw", down * mine[..., None], across)[None]
        before = lax.dynamic_slice_in_dim(dx, picture, 1)
        return lax.dynamic_update_slice_in_dim(dx, before + part, picture, 0), None

    regions = pictures, best.row, best.column, dy, _counts(rows), _counts(columns)
    return lax.scan(add, jnp.zeros_like(x), regions)[0]


def _counts(axis: _Axis) -> Array:
    """(R, bins, size): 1 for the elements that get a gradient from a bin, as the fork searches for its bins."""
    from_start = jnp.arange(axis.size) - axis.start  # (R, size)
    length = axis.with_last()
    first = jnp.floor((from_start - 1) / length - 1)
    behind = jnp.ceil((from_start + 1) / length)
    number = jnp.arange(axis.bins)[:, None]
    inside = (from_start >= 0) & (jnp.arange(axis.size) <= axis.end)
    return (inside[:, None] & (number >= first[:, None]) & (number < behind[:, None])).astype(jnp.float32)


def _of_regions(x: Array, pictures: Array, best: _Best, dy: Array, rows: _Axis, columns: _Axis) -> Array:
    row, column = (jnp.floor(place).astype(jnp.int32) for place in best[1:])
    inside = (best.row >= 0) & (best.column >= 0) & (row < rows.size - 1) & (column < columns.size - 1)
    channel = jnp.arange(x.shape[1])[:, None, None]
    flat = x.reshape(*x.shape[:2], -1)

    def corner(down: int, across: int) -> Array:
        place = jnp.clip((row + down) * columns.size + column + across, 0, flat.shape[2] - 1)
        return flat[pictures[:, None, None, None], channel, place]

    v = [[corner(i, j) for j in (0, 1)] for i in (0, 1)]
    down, across = best.row - row, best.column - column
    along = jnp.where(inside, dy, 0)
    by_x = along * ((1 - down) * (v[0][1] - v[0][0]) + down * (v[1][1] - v[1][0]))
    by_y = along * ((1 - across) * (v[1][0] - v[0][0]) + across * (v[1][1] - v[0][1]))
    of_width = by_x * (_share(best.column, columns) - 0.5)
    of_height = by_y * (_share(best.row, rows) - 0.5)
    parts = [jnp.sum(part, (1, 2, 3)) for part in (by_x, by_y, of_width, of_height)]
    return jnp.stack([jnp.zeros_like(parts[0]), *parts], 1)


def _share(place: Array, axis: _Axis) -> Array:
    """The relative position, from 0 to 1, of places (R, C, P, Q) along their region."""
    return (place - axis.start[:, :, None, None]) / (axis.with_last() * axis.bins)[:, :, None, None]


warp.defvjp(_forward, _backward)
