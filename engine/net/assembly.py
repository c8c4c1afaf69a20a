"""Sets up the layers of a graph in order: which values each one makes, and their shapes."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from engine.graph import fits
from engine.graph.graph import Node, Value
from engine.layers.base import Layer, Shape, SourceLayer


class Assembly(NamedTuple):
    """The layers in the file's order; for each, its tops and one loss weight per top; and the shape of every value."""

    layers: list[Layer]
    tops: list[tuple[Value, ...]]
    loss_weights: list[list[float]]
    shapes: dict[Value, Shape]


class Unchanged(NamedTuple):
    """What an assembly takes unchanged from another one: everything after layer `last`."""

    assembly: Assembly
    last: int


def assemble(
    nodes: Sequence[Node],
    layers: Iterable[Layer],
    known_shapes: Mapping[str, Shape],
    unchanged: Unchanged | None = None,
) -> Assembly:
    """Sets up `layers`, one per node. known_shapes: those of sources' and dynamic layers' tops, by blob name.

    Raises LayerError if layers don't fit together.
    """
    assembly = Assembly([], [], [], {})
    for i, (node, layer) in enumerate(zip(nodes, layers, strict=True)):
        if unchanged is None or i <= unchanged.last:
            _add(assembly, node, layer, known_shapes)
        else:
            _keep(assembly, unchanged.assembly, i)
    return assembly


def _add(assembly: Assembly, node: Node, layer: Layer, known_shapes: Mapping[str, Shape]) -> None:
    bottoms = [assembly.shapes[v] for v in node.bottoms]
    tops = _tops_of(node, layer, len(assembly.layers))
    known = known_shapes if isinstance(layer, SourceLayer) or layer.dynamic else {}
    shapes = layer.build(bottoms, [known.get(v.blob) for v in tops])
    weights = fits.loss_weights(node, len(tops))
    assembly.shapes.update(zip(tops, shapes, strict=True))
    assembly.loss_weights.append(weights or [float(layer.loss)] * min(1, len(tops)) + [0.0] * (len(tops) - 1))
    assembly.layers.append(layer)
    assembly.tops.append(tops)


def _keep(assembly: Assembly, other: Assembly, i: int) -> None:
    assembly.shapes.update((v, other.shapes[v]) for v in other.tops[i])
    assembly.loss_weights.append(other.loss_weights[i])
    assembly.layers.append(other.layers[i])
    assembly.tops.append(other.tops[i])


def _tops_of(node: Node, layer: Layer, number: int) -> tuple[Value, ...]:
    """The node's tops. A loss that names none gets Caffe's "(automatic)" top, which is not an output of the net."""
    if layer.loss and not node.tops:
        return (Value("(automatic)", number),)
    return node.tops
