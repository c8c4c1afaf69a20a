"""How large a net is, and how much it computes."""

import math
from dataclasses import dataclass

from engine.net.net import Net


@dataclass(frozen=True)
class NetSize:
    """parameters: the number of learned values. state: that of a model's other values, such as BatchNorm's averages.

    multiply_adds: those of convolutions and inner products in the forward pass of one item of the batch. batch: items.
    """

    parameters: int
    state: int
    multiply_adds: int
    batch: int


def of(net: Net) -> NetSize:
    """The size of `net`. Parameters shared by layers count once. The batch size is the first input's first axis."""
    params = [net.params[k] for k in net.model_params]
    work = sum(
        layer.multiply_adds([net.shapes[v] for v in node.bottoms], [net.shapes[v] for v in tops])
        for layer, node, tops in zip(net.layers, net.graph.nodes, net.tops, strict=True)
    )
    first = next(iter(net.shapes.values()))
    batch = first[0] if first and first[0] else 1
    return NetSize(
        sum(math.prod(p.shape) for p in params if p.learned),
        sum(math.prod(p.shape) for p in params if not p.learned),
        work // batch,
        batch,
    )
