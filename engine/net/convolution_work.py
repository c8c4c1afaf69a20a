"""How much the convolutions of a pass have to compute."""

from math import prod
from typing import Protocol

from engine.graph.graph import Graph, Value
from engine.layers.base import Layer, Shape

LIGHT = 10**9
"""Multiplications of a pass's convolutions."""


class HasShapes(Protocol):
    """A net, as far as its sizes are looked at here."""

    graph: Graph
    layers: list[Layer]
    shapes: dict[Value, Shape]


def light(net: HasShapes) -> bool:
    """Whether its convolutions take no longer than some ten milliseconds by any form: see `Sized`."""
    total = 0
    for node, layer in zip(net.graph.nodes, net.layers, strict=True):
        blobs = [*(net.shapes[v] for v in node.bottoms[:1]), *layer.top_shapes]
        positions = min((prod(shape[:1] + shape[2:]) for shape in blobs), default=0)
        total += positions * sum(prod(decl.shape) for decl in layer.params if len(decl.shape) > 2)
    return total < LIGHT
