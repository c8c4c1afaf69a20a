"""The steps of a forward pass: the net's layers in order, some fused where one computation is faster."""

from collections.abc import Sequence
from dataclasses import dataclass

from engine.graph.graph import Node, Value
from engine.layers.base import Layer


@dataclass(frozen=True)
class Step:
    """Layers `first` to `last` (inclusive), which `layer` computes as one."""

    first: int
    last: int
    layer: Layer


def single(layers: Sequence[Layer], start: int, end: int) -> list[Step]:
    """Layers start … end, each as a step of its own."""
    return [Step(i, i, layers[i]) for i in range(start, end + 1)]


def joined(
    layers: Sequence[Layer], nodes: Sequence[Node], tops: Sequence[tuple[Value, ...]], precision: str
) -> list[Step]:
    """The steps of a pass in which the blobs between fused layers aren't needed.

    Empty if shapes are only known during the pass. A layer is fused with the one before it if that one's top is its
    only bottom; no other layer reads this top, as what several read, or what is a loss too, goes through a Split.
    """
    if any(layer.dynamic or layer.host for layer in layers):
        return []
    steps: list[Step] = []
    for i, (layer, node) in enumerate(zip(layers, nodes, strict=True)):
        before = steps[-1] if steps else None
        reads_it = before and len(node.bottoms) == 1 and tops[before.last] == node.bottoms
        if (
            before
            and reads_it
            and all(node.config.propagate_down)
            and _converts_nothing(before.layer, layer, precision)
        ):
            fused = before.layer.joined(layer)
            if fused:
                steps[-1] = Step(before.first, i, fused)
                continue
        steps.append(Step(i, i, layer))
    return steps


def _converts_nothing(layer: Layer, follower: Layer, precision: str) -> bool:
    return precision == "float32" or follower.precision in ("given", layer.precision)
