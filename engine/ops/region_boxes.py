"""Regions in pixels, as in MS-CNN and Cascade R-CNN: decoded from maps, and their overlaps."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

Array = jax.Array
Overlap = Callable[[Array, Array], Array]

MODES = ("IOU", "IOMU", "IOFU")
"""The denominator of an overlap: the union, the smaller of both boxes, or the box that was kept before."""


def overlap(mode: str, pixel: float, *, matching: bool = False) -> Overlap:
    """Returns a function of a later box (…, 4), which may be suppressed, and boxes (…, 4) kept before it, as NumPy or
    JAX arrays. It computes their overlap as `mode` defines it.

    pixel: 1 if the last row and column belong to a box, 0 if they are its edges. Boxes that are apart have overlap 0.
    So have boxes that share only one row of pixels, and boxes smaller than a pixel; but not with `matching`, when
    regions are matched to objects, for which Cascade R-CNN has another rule.
    """

    def area(boxes: Array) -> Array:
        xp = boxes.__array_namespace__()
        side = boxes[..., 2:] - boxes[..., :2]
        return xp.where(xp.all(side + pixel > 0 if matching else side >= 0, axis=-1), xp.prod(side + pixel, axis=-1), 0)

    def share(later: Array, earlier: Array) -> Array:
        xp = later.__array_namespace__()
        side = xp.minimum(later[..., 2:], earlier[..., 2:]) - xp.maximum(later[..., :2], earlier[..., :2])
        down = side[..., 1] >= 0 if matching else side[..., 1] > 0
        together = (side[..., 0] >= 0) & down & (area(later) > 0) & (area(earlier) > 0)
        common = xp.where(together, xp.prod(side + pixel, axis=-1), 0)
        denominator = {
            "IOU": area(later) + area(earlier) - common,
            "IOMU": xp.minimum(area(later), area(earlier)),
            "IOFU": area(earlier),
        }[mode]
        return xp.where(together, common / xp.where(together, denominator, 1), 0)

    return share


def of_maps(moves: Array, fields: Array, stride: int, farthest: float, widest: float) -> Array:
    """Centres and sizes (…, H, W, 4) of the boxes that maps `moves` (…, 4, H, W) give relative to `fields` (…, 2), each
    map's width and height of a field. Fields are centred on the map's places, which are `stride` pixels apart.

    A centre moves by at most 1 / `farthest` of the field. A side is at most `widest` times, and at least 1 / `widest`
    times, as long as the field's.
    """
    height, width = moves.shape[-2:]
    across, down = jnp.meshgrid(*((jnp.arange(n, dtype=moves.dtype) + 0.5) * float(stride) for n in (width, height)))
    size = fields[..., None, None, :]
    by_place = jnp.moveaxis(moves, -3, -1)
    centre = jnp.clip(by_place[..., :2], -1 / farthest, 1 / farthest) * size + jnp.stack([across, down], -1)
    bound = jnp.log(jnp.asarray(widest, moves.dtype))
    return jnp.concatenate([centre, size * jnp.exp(jnp.clip(by_place[..., 2:], -bound, bound))], -1)


def moved(moves: Array, boxes: Array) -> Array:
    """The boxes (…, 4), last pixels inclusive, that `moves` (…, 4) of centre and size make of `boxes` (…, 4)."""
    size = boxes[..., 2:] - boxes[..., :2] + 1
    centre = moves[..., :2] * size + (boxes[..., :2] + boxes[..., 2:]) / 2
    after = size * jnp.exp(moves[..., 2:])
    first = centre - (after - 1) / 2
    return jnp.concatenate([first, first + after - 1], -1)
