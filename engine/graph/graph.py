"""The graph: its layers in order, the versions of the blobs between them, and where in a file each layer is written."""

from dataclasses import dataclass, field
from functools import cached_property

from engine.errors import LayerError
from engine.proto import caffe_pb2 as pb
from engine.proto import text


@dataclass(frozen=True, order=True)
class Value:
    """One version of a blob. An in-place layer reads version n and makes version n + 1."""

    blob: str
    version: int


@dataclass(frozen=True)
class Origin:
    """Where a layer is written: the `occurrence`-th of its name in `path`. Its line is looked up only for an error.

    `bottoms`: their names in the file, which errors use; splits rename them.
    """

    path: str | None
    name: str
    occurrence: int = 0
    bottoms: tuple[str, ...] = ()

    def __str__(self) -> str:
        """`FILE:LINE: `; `FILE: ` if the line is unknown; empty for a net that is not from a file."""
        if self.path is None:
            return ""
        lines = [line for name, line in text.layer_lines(self.path) if name == self.name]
        return f"{self.path}:{lines[self.occurrence]}: " if self.occurrence < len(lines) else f"{self.path}: "


@dataclass(frozen=True)
class Node:
    """A layer and its place in the net.

    `owners[i]`: the parameter (node, index) that the i-th `param` of this layer shares; absent if the parameter is the
    layer's own. `beside`: the types of all layers in the net.
    """

    config: pb.LayerParameter
    bottoms: tuple[Value, ...]
    tops: tuple[Value, ...]
    origin: Origin
    owners: dict[int, tuple[int, int]] = field(default_factory=dict)
    beside: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        return self.config.name

    @property
    def shown(self) -> str:
        """The layer as messages name it: its name and its type."""
        return f'layer "{self.config.name}" ({self.config.type})'

    def canonical_axis(self, axis: int, shape: tuple[int, ...], what: str = "axis") -> int:
        """`axis` of a bottom of this shape, counted from the front; a negative `axis` counts from the end.

        Raises LayerError if there is no such axis.
        """
        if not -len(shape) <= axis < len(shape):
            raise self.error(
                f"{what} {axis} is not one of its bottom of shape {list(shape)}; it has {len(shape)} axes."
            )
        return axis % len(shape)

    def bottom(self, index: int) -> str:
        """A bottom as messages name it, with its name in the file: `bottom "conv1"`."""
        return f'bottom "{self.origin.bottoms[index]}"'

    def error(self, message: str) -> LayerError:
        return LayerError(f"{self.origin}{self.shown}: {message}")


@dataclass(frozen=True)
class Graph:
    """The layers of one phase in the order of the file, including splits."""

    param: pb.NetParameter
    nodes: tuple[Node, ...]

    @cached_property
    def outputs(self) -> tuple[str, ...]:
        """The blobs that no layer reads, sorted by name as in Caffe."""
        open_blobs: set[str] = set()
        for node in self.nodes:
            open_blobs -= {v.blob for v in node.bottoms}
            open_blobs |= {v.blob for v in node.tops}
        return tuple(sorted(open_blobs))
