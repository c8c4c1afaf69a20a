"""Checks, without JAX, that predictions come with matching numbers of labels or target values."""

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

from engine.graph.graph import Node

Shape = tuple[int, ...]


class Classes(NamedTuple):
    """The layout of predictions (d0, …, C, …, dn): `number` = C classes along `axis`, `outer` = d0 · … before it, and
    `inner` = … · dn after it."""

    axis: int
    outer: int
    number: int
    inner: int


def classes(node: Node, x: Shape, labels: Shape, axis: int) -> Classes:
    """The layout of the classes in x. Raises LayerError if there are none, or not one label per prediction."""
    a = node.canonical_axis(axis, x)
    layout = Classes(a, prod(x[:a]), x[a], prod(x[a + 1 :]))
    if not layout.number:
        raise node.error(f"{node.bottom(0)} of shape {list(x)} has no classes along axis {a}; 1 or more are needed.")
    if prod(labels) != layout.outer * layout.inner:
        raise node.error(
            f"{node.bottom(1)} of shape {list(labels)} has {prod(labels)} labels and {node.bottom(0)} of shape "
            f"{list(x)} has {layout.outer * layout.inner} predictions of {layout.number} classes along axis {a}; the "
            "numbers must be equal."
        )
    return layout


def focus(node: Node) -> float:
    """The gamma of a focal loss. Raises LayerError if it is negative."""
    gamma = node.config.focal_loss_param.gamma
    if gamma < 0:
        raise node.error(f"gamma is {gamma:g}; it must be 0 or more.")
    return gamma


def top_k(node: Node, k: int, of: int) -> int:
    """`k`, how many of a prediction's `of` classes count. Raises LayerError unless it is 1 to `of`."""
    if not 1 <= k <= of:
        raise node.error(f"top_k {k} is not 1 to {of}, the number of classes of {node.bottom(0)}.")
    return k


def same_items(node: Node, bottoms: Sequence[Shape]) -> None:
    """Raises LayerError if a bottom has another number of items than the first."""
    for i, shape in enumerate(bottoms):
        if not shape:
            raise node.error(f"{node.bottom(i)} is a scalar; its first axis must be the batch.")
        if shape[0] != bottoms[0][0]:
            raise node.error(
                f"{node.bottom(0)} has shape {list(bottoms[0])} and {node.bottom(i)} {list(shape)}; both need the "
                "same first dimension, the batch."
            )


def one_a_place(node: Node, x: Shape, values: Shape) -> None:
    """Raises LayerError unless the first two bottoms are maps (N, C, H, W) and a value per position (N, 1, H, W)."""
    if len(x) != 4 or values != (x[0], 1, *x[2:]):
        raise node.error(
            f"{node.bottom(0)} has shape {list(x)} and {node.bottom(1)} {list(values)}; they must be (N, C, H, W) and "
            "(N, 1, H, W)."
        )


def pair(node: Node, a: Shape, b: Shape) -> None:
    """Raises LayerError if the first two bottoms differ in their number of items or of values."""
    same_items(node, (a, b))
    if prod(a) != prod(b):
        raise node.error(
            f"{node.bottom(0)} has shape {list(a)} and {node.bottom(1)} {list(b)}; they need as many values."
        )
