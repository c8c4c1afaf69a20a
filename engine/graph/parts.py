"""The shapes of layers that pick or sum up values of their bottom, computed without JAX. Each function raises
LayerError if the settings do not fit the bottoms."""

from math import prod
from typing import NamedTuple

from engine.graph import fits
from engine.graph.graph import Node

Shape = tuple[int, ...]


class Largest(NamedTuple):
    """An ArgMax: the axis along which it works (None: over whole items), and the top's shape."""

    axis: int | None
    shape: Shape


def largest(node: Node, x: Shape) -> Largest:
    """The axis and top of an ArgMax, which takes the `top_k` largest values of each item or along an axis."""
    p = node.config.argmax_param
    if not x:
        raise node.error(f"{node.bottom(0)} is a scalar; 1 axis or more is needed.")
    axis = node.canonical_axis(p.axis, x) if p.HasField("axis") else None
    most = prod(x[1:]) if axis is None else x[axis]
    if not 1 <= p.top_k <= most:
        raise node.error(f"top_k {p.top_k} is not 1 to {most}, for {node.bottom(0)} of shape {list(x)}.")
    if axis is not None:
        return Largest(axis, (*x[:axis], p.top_k, *x[axis + 1 :]))
    return Largest(None, (x[0], 1 + p.out_max_val, p.top_k) + (1,) * (len(x) - 3))


def cropped(node: Node, x: Shape, like: Shape) -> tuple[Shape, Shape]:
    """The start and end (exclusive) of the part of x that a Crop takes, which is as large as `like` from `axis` on."""
    p = node.config.crop_param
    axis = node.canonical_axis(p.axis, x)
    axes = len(x) - axis
    if len(p.offset) not in (0, 1, axes):
        raise node.error(
            f"{len(p.offset)} offsets for the {axes} axes of {node.bottom(0)} from axis {axis} on; "
            "give none, one for all, or one per axis."
        )
    if len(like) < len(x):
        raise node.error(
            f"{node.bottom(1)} of shape {list(like)} has fewer axes than {node.bottom(0)} of shape {list(x)}."
        )
    offsets = list(p.offset) if len(p.offset) == axes else list(p.offset[:1] or [0]) * axes
    start = (0,) * axis + tuple(offsets)
    stop = x[:axis] + tuple(o + n for o, n in zip(offsets, like[axis:], strict=False))
    for i, (end, size) in enumerate(zip(stop, x, strict=True)):
        if end > size:
            raise node.error(
                f"along axis {i}, {like[i]} from offset {start[i]} on goes beyond {node.bottom(0)}, which has {size}."
            )
    return start, stop


def reduced(node: Node, x: Shape) -> int:
    """The first of the axes that a Reduction reduces."""
    return node.canonical_axis(node.config.reduction_param.axis, x)


def embedded(node: Node) -> tuple[int, int]:
    """The number of rows of an Embed's weights, and their length."""
    p = node.config.embed_param
    if not p.num_output or not p.input_dim:
        raise node.error("embed_param needs input_dim and num_output of 1 or more.")
    return p.input_dim, p.num_output


def reindexed(node: Node, x: Shape, numbers: Shape) -> Shape:
    """The top of a BatchReindex: the rows of x that it picks."""
    if not x or len(numbers) != 1:
        raise node.error(f"{node.bottom(1)} of shape {list(numbers)} must be a list of row numbers, with one axis.")
    return (*numbers, *x[1:])


def normed(node: Node, x: Shape) -> Shape:
    """The top of a ChannelNorm: one value in place of the channels."""
    fits.channels(node, x)
    return (x[0], 1, *x[2:])
