"""The shapes of sources' tops that are given in the net itself, computed without JAX."""

from collections.abc import Sequence
from typing import TypeVar

from engine.graph.graph import Node

Shape = tuple[int, ...]
Given = TypeVar("Given")

LEGACY = ("num", "channels", "height", "width")
"""The four fields of DummyData's old form of a shape."""


def given(node: Node) -> list[Shape] | None:
    """The shapes of a source's tops if its settings give them, otherwise None. Raises LayerError for wrong settings."""
    kind = node.config.type
    if kind == "Input":
        return of_input(node)
    if kind == "DummyData":
        return of_dummy_data(node)
    if kind == "MemoryData":
        p = node.config.memory_data_param
        return [(p.batch_size, p.channels, p.height, p.width), (p.batch_size,)]
    return None


def of_input(node: Node) -> list[Shape]:
    """The tops of an Input. Raises LayerError unless there is one shape for all tops or one per top, and for negative
    dims."""
    return each_top(node, "shapes", [not_negative(node, tuple(s.dim)) for s in node.config.input_param.shape])


def of_dummy_data(node: Node) -> list[Shape]:
    """The tops of a DummyData. Raises LayerError unless each part of the shapes is given once for all tops or once per
    top, for negative dims, and if both forms are used."""
    p = node.config.dummy_data_param
    if not any(getattr(p, name) for name in LEGACY):
        return each_top(node, "shape", [not_negative(node, tuple(s.dim)) for s in p.shape])
    if p.shape:
        raise node.error(f"it has shape and {', '.join(LEGACY)}, the old form of the same; give one of them.")
    return list(zip(*(each_top(node, name, list(getattr(p, name))) for name in LEGACY), strict=True))


def each_top(node: Node, what: str, values: Sequence[Given]) -> list[Given]:
    """The values, one for every top. Raises LayerError unless there is one for all or one per top."""
    tops = len(node.config.top)
    if len(values) not in (1, tops):
        raise node.error(f"{len(values)} {what} for {tops} tops; give one for all, or one per top.")
    return list(values) * (tops if len(values) == 1 else 1)


def not_negative(node: Node, shape: Shape) -> Shape:
    """The shape, which a net gives. Raises LayerError for a negative dim."""
    if min(shape, default=0) < 0:
        raise node.error(f"a dim of the shape {list(shape)} is negative.")
    return shape
