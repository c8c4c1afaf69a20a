"""The boxes of a PriorBox at each location of a map, computed from its settings without JAX. Each function raises
LayerError for settings that contradict each other or do not fit."""

from array import array
from collections.abc import Iterator
from math import inf, prod, sqrt
from typing import Any

from engine.graph import fits
from engine.graph.graph import Node

Shape = tuple[int, ...]
Size = tuple[float, float]

_SAME = 1e-6
"""Aspect ratios that differ by less than this count as the same."""


def shape(node: Node, features: Shape, *picture: Shape) -> Shape:
    """The shape of the top: two rows, boxes and variances, with four numbers for each box at each location."""
    for i, x in enumerate((features, *picture)):
        fits.planes(node, x, i)
    places = prod(features[2:])
    if not places:
        raise node.error(f"{node.bottom(0)} of shape {list(features)} has no place for a box.")
    step(node, (1.0, 1.0))
    picture_size(node, *picture)
    variances(node)
    return 1, 2, places * len(list(sizes(node))) * (1 + denser(node)) * 4


def denser(node: Node) -> bool:
    """Whether each box occurs twice: the second time centred on the lower edge of its row (TextBoxes++)."""
    return node.config.type == "PriorBox" and node.config.prior_box_param.denser_prior_boxes


def sizes(node: Node) -> Iterator[Size]:
    """The widths and heights of the boxes at one location, in the picture's pixels."""
    return _clustered(node) if node.config.type == "PriorBoxClustered" else _by_ratio(node)


def _clustered(node: Node) -> Iterator[Size]:
    p = node.config.prior_box_param
    if not p.width or len(p.width) != len(p.height):
        raise node.error(f"it has {len(p.width)} width and {len(p.height)} height; give one or more, as many of each.")
    if min(*p.width, *p.height) <= 0:
        raise node.error("each width and height must be above 0.")
    yield from zip(p.width, p.height, strict=True)


def _by_ratio(node: Node) -> Iterator[Size]:
    p = node.config.prior_box_param
    if not p.min_size:
        raise node.error("prior_box_param needs a min_size.")
    if p.max_size and len(p.max_size) != len(p.min_size):
        raise node.error(
            f"it has {len(p.min_size)} min_size and {len(p.max_size)} max_size; give as many max_size, or none."
        )
    roots = array("f", map(sqrt, _ratios(node)))  # float32, as in SSD: it can decide which of two boxes fits better
    for i, least in enumerate(p.min_size):
        if not 0 < least < inf:
            raise node.error(f"min_size is {least:g}; it must be more than 0, and finite.")
        size = int(least)
        first = size * 0.5 if p.reduce_boxes and i == 0 else size
        yield first, first
        if p.max_size:
            if not least < p.max_size[i] < inf:
                raise node.error(
                    f"max_size is {p.max_size[i]:g}; it must be more than its min_size, {least:g}, and finite."
                )
            yield (sqrt(size * int(p.max_size[i])),) * 2
        yield from ((size * root, size / root) for root in roots)


def _ratios(node: Node) -> list[float]:
    """The aspect ratios other than 1."""
    p = node.config.prior_box_param
    ratios = [1.0]
    for ratio in p.aspect_ratio:
        if ratio <= 0:
            raise node.error(f"aspect_ratio is {ratio:g}; it must be more than 0.")
        if all(abs(ratio - known) >= _SAME for known in ratios):
            ratios += [ratio, *array("f", [1 / ratio])] if p.flip else [ratio]  # float32, as in SSD
    return [ratio for ratio in ratios if abs(ratio - 1) >= _SAME]


def variances(node: Node) -> list[float]:
    """The variances: one for all four numbers of a box, or one for each."""
    values = list(node.config.prior_box_param.variance)
    if len(values) not in (0, 1, 4) or any(v <= 0 for v in values):
        raise node.error(f"variance is {[float(f'{v:g}') for v in values]}; give one or four numbers above 0, or none.")
    return values or [0.1]


def picture_size(node: Node, picture: Shape = ()) -> tuple[int, int]:
    """The picture's height and width: as set, or else those of the second bottom."""
    size = _set(node, "img_size", "img_h", "img_w") or picture[2:]
    if not size:
        raise node.error("it needs the picture as a second bottom, or img_size, to know how large the picture is.")
    if not all(size):
        raise node.error(f"the picture's height and width are {size[0]} and {size[1]}; both must be 1 or more.")
    return size[0], size[1]


def step(node: Node, usual: Size) -> Size:
    """The distance of two locations in the picture's pixels, down and across: as set, or else `usual`."""
    steps = _set(node, "step", "step_h", "step_w")
    if steps is None:
        return usual
    if min(steps) <= 0:
        raise node.error(f"the steps down and across are {steps[0]:g} and {steps[1]:g}; both must be more than 0.")
    return steps


def _set(node: Node, both: str, down: str, across: str) -> tuple[Any, Any] | None:
    """The values set for down and across, by one field for both or by one for each; None if none is set."""
    p = node.config.prior_box_param
    if p.HasField(down) or p.HasField(across):
        if p.HasField(both):
            raise node.error(f"it has {both} and {down} or {across}; give {both}, or the other two.")
        return getattr(p, down), getattr(p, across)
    return (getattr(p, both),) * 2 if p.HasField(both) else None
