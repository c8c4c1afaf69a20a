"""Boxes (x, y, w, h) along a last axis of 4: centre and size relative to the picture; and the boxes of YOLO's grids."""

from functools import partial

import jax
import jax.numpy as jnp
from jax import Array

from engine.ops import boxes


def corners(centred: Array) -> Array:
    """(x, y, w, h) → (xmin, ymin, xmax, ymax)."""
    centre, half = centred[..., :2], centred[..., 2:] / 2
    return jnp.concatenate([centre - half, centre + half], -1)


def overlap(a: Array, b: Array) -> Array:
    """Intersection over union of boxes a (…, 4) and b (…, 4), which are broadcast; 0 if they don't intersect."""
    return boxes.overlap(corners(a), corners(b))


def of_grid(offsets: Array, anchors: Array, size: tuple[float, float]) -> Array:
    """The boxes (N, B, H, W, 4) that `offsets` (N, B, 4, H, W) give at each place of a grid.

    offsets: x and y relative to the place, and the logarithms of the ratios of the box's width and height to those of
    its anchor. anchors (B, 2): widths and heights, in the unit in which the picture is `size`: width, height (Redmon
    and Farhadi 2017).
    """
    x, y, w, h = jnp.moveaxis(offsets, 2, 0)
    rows, columns = offsets.shape[3:]
    centre = (x + jnp.arange(columns)) / columns, (y + jnp.arange(rows)[:, None]) / rows
    wide, high = (jnp.exp(v) * anchors[:, i, None, None] / size[i] for i, v in enumerate((w, h)))
    return jnp.stack([*centre, wide, high], -1)


def offsets(truth: Array, anchors: Array, size: tuple[float, float]) -> Array:
    """The inverse of `of_grid`: the offsets (B, 4, H, W) of the boxes `truth` (B, H, W, 4)."""
    x, y, w, h = jnp.moveaxis(truth, -1, 0)
    rows, columns = x.shape[1:]
    steps = x * columns - jnp.arange(columns), y * rows - jnp.arange(rows)[:, None]
    return jnp.stack([*steps, *(jnp.log(v * size[i] / anchors[:, i, None, None]) for i, v in enumerate((w, h)))], 1)


def nearest(predicted: Array, labels: Array) -> Array:
    """The largest overlap of each of the boxes `predicted` (…, 4) with any of `labels` (T, 5): class, x, y, w, h.

    The first label whose x is 0 ends the list.
    """
    listed = jnp.cumprod(labels[:, 1] != 0) > 0
    return jnp.max(jnp.where(listed, overlap(predicted[..., None, :], labels[:, 1:]), 0), -1, initial=0)


def centred(sizes: Array) -> Array:
    """Boxes (…, 4) of these widths and heights (…, 2), all around one point."""
    return jnp.concatenate([jnp.zeros_like(sizes), sizes], -1)


def of_region(x: Array, anchors: Array) -> tuple[Array, Array, Array]:
    """YOLO v2's predictions: boxes (N, K, 4), confidences (N, K) and class probabilities (N, K, C), place by place.

    x (N, B · (5 + C), S, S): at each place, for each of `anchors` (B, 2; in units of places), the offset x, y, w, h, a
    confidence and the class scores, before their non-linearities.
    """
    parts = x.reshape(len(x), len(anchors), -1, *x.shape[2:])
    offsets = jnp.concatenate([jax.nn.sigmoid(parts[:, :, :2]), parts[:, :, 2:4]], 2)
    boxes = of_grid(offsets, anchors, (x.shape[3], x.shape[3]))
    classes = jnp.moveaxis(jax.nn.softmax(parts[:, :, 5:], axis=2), 2, -1)
    by_place = partial(jnp.moveaxis, source=1, destination=3)
    boxes, sure, classes = (by_place(v) for v in (boxes, jax.nn.sigmoid(parts[:, :, 4]), classes))
    return boxes.reshape(len(x), -1, 4), sure.reshape(len(x), -1), classes.reshape(len(x), -1, classes.shape[-1])
