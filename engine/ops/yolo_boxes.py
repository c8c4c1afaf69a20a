"""Boxes (x, y, w, h) along a last axis of 4, by their centre, as parts of the picture; and those of YOLO's grids."""

import jax.numpy as jnp
from jax import Array

from engine.ops import boxes


def corners(centred: Array) -> Array:
    """(x, y, w, h) → (xmin, ymin, xmax, ymax)."""
    centre, half = centred[..., :2], centred[..., 2:] / 2
    return jnp.concatenate([centre - half, centre + half], -1)


def overlap(a: Array, b: Array) -> Array:
    """Intersection over union of boxes a (…, 4) and b (…, 4), which are broadcast; 0 where they have none."""
    return boxes.overlap(corners(a), corners(b))


def of_grid(offsets: Array, anchors: Array, size: tuple[float, float]) -> Array:
    """The boxes (N, B, H, W, 4) that `offsets` (N, B, 4, H, W) say at each place of a grid.

    offsets: x and y as parts of a place, and the logarithms of how much wider and higher the box is than its anchor of
    `anchors` (B, 2), widths and heights in units of which the picture has `size`: width, height (Redmon and Farhadi
    2017).
    """
    x, y, w, h = jnp.moveaxis(offsets, 2, 0)
    rows, columns = offsets.shape[3:]
    centre = (x + jnp.arange(columns)) / columns, (y + jnp.arange(rows)[:, None]) / rows
    wide, high = (jnp.exp(v) * anchors[:, i, None, None] / size[i] for i, v in enumerate((w, h)))
    return jnp.stack([*centre, wide, high], -1)
