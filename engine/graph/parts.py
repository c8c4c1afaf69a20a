"""Layers that pick values of their bottom or sum them up: the shapes that come of it, told without JAX. Each raises
LayerError where settings do not fit the bottoms."""

from math import prod
from typing import NamedTuple

from engine.graph import fits
from engine.graph.graph import Node

Shape = tuple[int, ...]


class Largest(NamedTuple):
    """What an ArgMax gives: along which axis, None for whole items, and the top's shape."""

    axis: int | None
    shape: Shape


def largest(node: Node, x: Shape) -> Largest:
    """The `top_k` of an ArgMax, of all of an item or along an axis."""
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
    """Where the part of x begins and ends that a Crop takes: of the sizes of `like` along the axes from `axis` on."""
    p = node.config.crop_param
    axis = node.canonical_axis(p.axis, x)
    axes = len(x) - axis
    if len(p.offset) not in (0, 1, axes):
        raise node.error(
            f"{len(p.offset)} offsets for the {axes} axes of {node.bottom(0)} from axis {axis} on; "
            "give none, one for all, or one an axis."
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
                f"along axis {i}, {like[i]} from offset {start[i]} on end behind {node.bottom(0)}, which has {size}."
            )
    return start, stop


def reduced(node: Node, x: Shape) -> int:
    """The first of the axes that a Reduction sums up."""
    return node.canonical_axis(node.config.reduction_param.axis, x)


def embedded(node: Node) -> tuple[int, int]:
    """The rows of an Embed's weights and their length."""
    p = node.config.embed_param
    if not p.num_output or not p.input_dim:
        raise node.error("embed_param needs input_dim and num_output of 1 or more.")
    return p.input_dim, p.num_output


def reindexed(node: Node, x: Shape, numbers: Shape) -> Shape:
    """Of the rows of x that a BatchReindex picks."""
    if not x or len(numbers) != 1:
        raise node.error(f"{node.bottom(1)} of shape {list(numbers)} must be one row number after another: one axis.")
    return (*numbers, *x[1:])


def normed(node: Node, x: Shape) -> Shape:
    """Of a ChannelNorm: one value in place of the channels."""
    fits.channels(node, x)
    return (x[0], 1, *x[2:])
