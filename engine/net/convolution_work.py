"""How much work the convolutions of a pass are."""

from math import prod
from typing import Protocol

from engine.graph.graph import Graph, Value
from engine.layers.base import Layer, Shape

LIGHT = 10**9
"""Multiplications in all convolutions of a pass, below which these are light."""


class HasShapes(Protocol):
    """The part of a net that this module reads: its shapes."""

    graph: Graph
    layers: list[Layer]
    shapes: dict[Value, Shape]


def light(net: HasShapes) -> bool:
    """Whether the net's convolutions take some ten milliseconds at most, whichever form computes them: see `Sized`."""
    total = 0
    for node, layer in zip(net.graph.nodes, net.layers, strict=True):
        blobs = [*(net.shapes[v] for v in node.bottoms[:1]), *layer.top_shapes]
        positions = min((prod(shape[:1] + shape[2:]) for shape in blobs), default=0)
        total += positions * sum(prod(decl.shape) for decl in layer.params if len(decl.shape) > 2)
    return total < LIGHT
