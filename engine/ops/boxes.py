"""Boxes (xmin, ymin, xmax, ymax) along a last axis of 4: sizes, overlaps, offsets from priors, suppression."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from engine.proto import caffe_pb2 as pb

Array = jax.Array
CodeType = pb.PriorBoxParameter.CodeType

TABLE = 1024
"""Up to this many boxes per row, `suppress` computes the overlaps of all pairs at once."""


def area(boxes: Array) -> Array:
    """Width · height of boxes (…, 4); 0 if a box's corners are the wrong way round."""
    width, height = boxes[..., 2] - boxes[..., 0], boxes[..., 3] - boxes[..., 1]
    return jnp.where((width < 0) | (height < 0), 0, width * height)


def overlap(a: Array, b: Array) -> Array:
    """Intersection over union of boxes a (…, 4) and b (…, 4), which are broadcast; 0 if they don't intersect."""
    width = jnp.minimum(a[..., 2], b[..., 2]) - jnp.maximum(a[..., 0], b[..., 0])
    height = jnp.minimum(a[..., 3], b[..., 3]) - jnp.maximum(a[..., 1], b[..., 1])
    common = width * height
    return jnp.where((width > 0) & (height > 0), common / (area(a) + area(b) - common), 0)


def decode(code: CodeType, offsets: Array, priors: Array, variances: Array | float) -> Array:
    """The boxes (…, 4) that `offsets` (…, 4), in units of `variances`, give for `priors` (…, 4) (Liu et al. 2016).

    CORNER: offsets of the corners. CORNER_SIZE: the same, relative to the prior's width and height. CENTER_SIZE: offset
    of the centre, relative likewise, and the logarithms of the ratios of the box's width and height to the prior's.
    """
    d = variances * offsets
    if code == pb.PriorBoxParameter.CORNER:
        return priors + d
    size = priors[..., 2:] - priors[..., :2]
    if code == pb.PriorBoxParameter.CORNER_SIZE:
        return priors + d * jnp.concatenate([size, size], -1)
    centre = d[..., :2] * size + (priors[..., :2] + priors[..., 2:]) / 2
    half = jnp.exp(d[..., 2:]) * size / 2
    return jnp.concatenate([centre - half, centre + half], -1)


def decode_outline(offsets: Array, priors: Array, variances: Array) -> Array:
    """The outlines (…, 8) or (…, 5) that `offsets` of that shape, in units of `variances`, give for `priors` (…, 4).

    8: the corners x1, y1 … x4, y4 of a polygon, relative to the prior's, clockwise from the upper left. 5: two corners
    of a rotated box, relative to the prior's centre, and its height, as a logarithm (TextBoxes++, Liao et al. 2018).
    """
    size = priors[..., 2:] - priors[..., :2]
    points = offsets[..., : offsets.shape[-1] // 4 * 4]
    moved = points * jnp.tile(variances[..., :2] * size, points.shape[-1] // 2)
    if offsets.shape[-1] == 8:
        return moved + priors[..., jnp.array([0, 1, 2, 1, 2, 3, 0, 3])]
    height = jnp.exp(variances[..., 3:] * offsets[..., 4:]) * size[..., 1:]
    return jnp.concatenate([moved + jnp.tile((priors[..., :2] + priors[..., 2:]) / 2, 2), height], -1)


def encode(code: CodeType, boxes: Array, priors: Array, variances: Array | float) -> Array:
    """The inverse of `decode`: the offsets (…, 4) of `boxes` from `priors`, in units of `variances`."""
    if code == pb.PriorBoxParameter.CORNER:
        return (boxes - priors) / variances
    size = priors[..., 2:] - priors[..., :2]
    if code == pb.PriorBoxParameter.CORNER_SIZE:
        return (boxes - priors) / jnp.concatenate([size, size], -1) / variances
    centre = (boxes[..., :2] + boxes[..., 2:] - priors[..., :2] - priors[..., 2:]) / 2 / size
    return jnp.concatenate([centre, jnp.log((boxes[..., 2:] - boxes[..., :2]) / size)], -1) / variances


def suppress(
    boxes: Array,
    usable: Array,
    threshold: float,
    eta: float = 1,
    enough: int | None = None,
    share: Callable[[Array, Array], Array] = overlap,
) -> Array:
    """Non-maximum suppression of `boxes` (C, K, 4), best first. Returns which ones are kept (C, K): those that overlap
    no box kept before them by more than `threshold`.

    Only boxes that are `usable` (C, K) take part. With `eta` below 1, a threshold above 0.5 is multiplied by it for
    each box that is kept. The search stops when every row has kept `enough` boxes. share: computes the overlap of a
    box with those kept before it, its second argument.
    """
    most = boxes.shape[1]
    if not most:
        return usable

    def clashes(i: Array, limit: Array) -> Array:
        box = jax.lax.dynamic_index_in_dim(boxes, i, 1)
        return ~(share(box, boxes) <= limit[:, None])

    if eta == 1 and most <= TABLE:  # all pairs at once: ten times as fast, as long as they fit into the cache
        table = ~(share(boxes[:, :, None], boxes[:, None]) <= threshold)
        rows = jnp.moveaxis(table, 1, 0)

    def one(i: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
        kept, limit = state
        clash = rows[i] if eta == 1 and most <= TABLE else clashes(i, limit)
        keep = usable[:, i] & ~jnp.any(kept & clash, -1)
        if eta < 1:
            limit = jnp.where(keep & (limit > 0.5), limit * eta, limit)
        return jax.lax.dynamic_update_index_in_dim(kept, keep, i, 1), limit

    start = jnp.zeros(boxes.shape[:2], bool), jnp.full(boxes.shape[0], threshold, boxes.dtype)
    last = jnp.max(jnp.where(usable, jnp.arange(most) + 1, 0), initial=0)
    if enough is None:
        return jax.lax.fori_loop(0, last, one, start)[0]

    def goes_on(state: tuple[Array, tuple[Array, Array]]) -> Array:
        i, (kept, _) = state
        return (i < last) & jnp.any(jnp.sum(kept, -1) < min(enough, most))

    return jax.lax.while_loop(goes_on, lambda state: (state[0] + 1, one(*state)), (jnp.zeros_like(last), start))[1][0]
