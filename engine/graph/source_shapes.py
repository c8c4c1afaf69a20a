"""The shapes that sources give their tops in the net itself, told without JAX."""

from collections.abc import Sequence
from typing import TypeVar

from engine.graph.graph import Node

Shape = tuple[int, ...]
Given = TypeVar("Given")

LEGACY = ("num", "channels", "height", "width")
"""DummyData's old way to give a shape, in four parts."""


def given(node: Node) -> list[Shape] | None:
    """The shapes of the tops of a source that says them itself; None for others. Raises LayerError as those below."""
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
    """Raises LayerError where there is neither one shape for all tops nor one a top, and for negative dims."""
    return each_top(node, "shapes", [not_negative(node, tuple(s.dim)) for s in node.config.input_param.shape])


def of_dummy_data(node: Node) -> list[Shape]:
    """Raises LayerError where a part of the shapes is neither one for all tops nor one a top, and for both forms."""
    p = node.config.dummy_data_param
    if not any(getattr(p, name) for name in LEGACY):
        return each_top(node, "shape", [not_negative(node, tuple(s.dim)) for s in p.shape])
    if p.shape:
        raise node.error(f"it has shape and {', '.join(LEGACY)}, the old form of the same; give one of them.")
    return list(zip(*(each_top(node, name, list(getattr(p, name))) for name in LEGACY), strict=True))


def each_top(node: Node, what: str, values: Sequence[Given]) -> list[Given]:
    """One value for every top. Raises LayerError where there is neither one for all nor one a top."""
    tops = len(node.config.top)
    if len(values) not in (1, tops):
        raise node.error(f"{len(values)} {what} for {tops} tops; give one for all, or one a top.")
    return list(values) * (tops if len(values) == 1 else 1)


def not_negative(node: Node, shape: Shape) -> Shape:
    """A shape as a net gives it."""
    if min(shape, default=0) < 0:
        raise node.error(f"a dim of the shape {list(shape)} is negative.")
    return shape
