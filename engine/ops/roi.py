"""What is pooled from regions of a feature map: each region is cut into a grid of bins, its own size whatever it is.

Arrays: x (N, C, H, W), a map a picture; regions one a row r, of the picture pictures[r].
"""

import jax
import jax.numpy as jnp
from jax import lax

Array = jax.Array
Bounds = tuple[Array, Array]
"""Where bins begin and end along one axis, both (R, bins), the end behind the last element."""


@jax.custom_vjp
def max_of_bins(x: Array, pictures: Array, rows: Bounds, columns: Bounds, pulls: Array) -> Array:
    """(R, C, bins of rows, bins of columns): the maximum of every bin, 0 of an empty one, NaN of no picture.

    The gradient goes to the first maximum in scan order, and only for the regions of which `pulls` (R) holds.
    """
    return _search(x, pictures, rows, columns)[0]


def _search(x: Array, pictures: Array, rows: Bounds, columns: Bounds) -> tuple[Array, Array]:
    """The maxima, and where in its H · W plane each of them lies, −1 for none.

    Looks at the bins' first elements, then at their second ones, and so on until the largest bin is through.
    """
    height, width = x.shape[2:]
    there = (pictures >= 0) & (pictures < x.shape[0])
    picture = jnp.where(there, pictures, 0)[:, None, None]
    top, bottom = (b[:, :, None] for b in rows)
    left, right = (b[:, None, :] for b in columns)
    tall, wide = jnp.max(bottom - top, initial=0), jnp.max(right - left, initial=0)
    by_place = jnp.moveaxis(x, 1, -1)

    def look(step: int, found: tuple[Array, Array]) -> tuple[Array, Array]:
        best, where = found
        row, column = top + step // wide, left + step % wide
        inside = ((row < bottom) & (column < right))[..., None]
        value = by_place[picture, jnp.clip(row, 0, height - 1), jnp.clip(column, 0, width - 1)]
        better = inside & ((where < 0) | (value > best))
        return jnp.where(better, value, best), jnp.where(better, (row * width + column)[..., None], where)

    shape = (*jnp.broadcast_shapes(top.shape, left.shape), x.shape[1])
    none = jnp.zeros(shape, x.dtype), jnp.full(shape, -1, jnp.int32)
    best, where = lax.fori_loop(0, tall * wide, look, none)
    best = jnp.where(there[:, None, None, None], best, jnp.nan)
    return jnp.moveaxis(best, -1, 1), jnp.moveaxis(where, -1, 1)


def _max_fwd(
    x: Array, pictures: Array, rows: Bounds, columns: Bounds, pulls: Array
) -> tuple[Array, tuple[Array, Array, Array, Array]]:
    best, where = _search(x, pictures, rows, columns)
    return best, (x, pictures, where, pulls)


def _max_bwd(saved: tuple[Array, Array, Array, Array], dy: Array) -> tuple[Array, None, None, None, None]:
    x, pictures, where, pulls = saved
    counts = (where >= 0) & pulls[:, None, None, None]
    channel = jnp.arange(x.shape[1])[:, None, None]
    flat = jnp.zeros((*x.shape[:2], x.shape[2] * x.shape[3]), x.dtype)
    picture = jnp.broadcast_to(pictures[:, None, None, None], where.shape)
    dx = flat.at[picture, channel, where].add(jnp.where(counts, dy, 0), mode="drop")
    return dx.reshape(x.shape), None, None, None, None


max_of_bins.defvjp(_max_fwd, _max_bwd)


def weighted_bins(x: Array, pictures: Array, rows: Array, columns: Array) -> Array:
    """Σ over h, w of rows[r, i, h] · columns[r, j, w] · x[pictures[r], c, i, j, h, w]: (R, c, i, j).

    x (N, c, i, j, H, W), or (N, c, 1, 1, H, W) where all bins see the same map. NaN for the regions of no picture.
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
    there = (pictures >= 0) & (pictures < x.shape[0])
    return jnp.where(there[:, None, None, None], y, jnp.nan)


def span_weights(start: Array, end: Array, size: int) -> Array:
    """(R, bins, size): 1 / (end − start) for the elements from `start` to before `end`, both (R, bins); else 0."""
    places = jnp.arange(size)
    inside = (places >= start[..., None]) & (places < end[..., None])
    return inside / jnp.maximum(end - start, 1)[..., None].astype(jnp.float32)


def sample_weights(at: Array, size: int) -> Array:
    """(R, bins, size): the mean over samples of the weights of linear interpolation at places `at` (R, bins, samples).

    A place up to 1 outside counts as the border, one further out as 0 (Detectron's ROIAlign).
    """
    outside = (at < -1) | (at > size)
    kept = jnp.clip(at, 0, size - 1)[..., None]
    weights = jnp.maximum(0, 1 - jnp.abs(kept - jnp.arange(size)))
    return jnp.mean(jnp.where(outside[..., None], 0, weights), axis=-2)


def rounded(x: Array) -> Array:
    """The nearest integer, halves away from 0, as C's round."""
    return jnp.sign(x) * jnp.floor(jnp.abs(x) + 0.5)


def bin_lengths(lengths: Array, bins: int) -> Array:
    """lengths (R) / bins, rounded once: (R, 1).

    XLA multiplies by the reciprocal where it sees a constant; a last bit more, and a bin reaches an element further.
    """
    return (lengths / jnp.where(lengths > 0, jnp.asarray(bins, lengths.dtype), 1))[:, None]
