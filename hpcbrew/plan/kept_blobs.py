"""Predicts from the graph which blobs XLA keeps from the forward pass for the backward pass."""

from math import prod

from engine.graph import windows
from engine.graph.blob_shapes import Sizes
from engine.graph.graph import Graph, Node, Value
from engine.proto import caffe_pb2 as pb

VIEWS = frozenset({"Split", "Flatten", "Reshape"})
"""Layers whose tops are views of their bottoms."""

LINEAR = frozenset({"Concat", "Slice", "Dropout"})
"""Layers whose gradient needs no blob; Dropout's mask takes little memory."""

BY_TOP = frozenset({"ReLU", "Sigmoid", "TanH"})
"""Layers whose gradient is computed from their top."""


def on_cpu(graph: Graph, sizes: Sizes) -> list[int]:
    """Returns the number of values in each kept blob. A CPU keeps every blob; of blobs computed in place, it keeps the
    last version and what BatchNorm normalises."""
    return [
        prod(sizes.blobs[v])
        for node in graph.nodes
        for v in node.tops
        if v in sizes.blobs and node.config.type not in VIEWS and (v.version == 0 or node.config.type == "BatchNorm")
    ]


def on_gpu(graph: Graph, sizes: Sizes) -> list[int]:
    """Returns the number of values in each kept blob. A GPU keeps what gradients are computed from, and recomputes the
    cheap layers in between."""
    behind: dict[Value, Value] = {}  # view → the blob it shows
    normalised: set[Value] = set()
    counts: dict[Value, int] = {}
    for node in graph.nodes:
        bottoms = [behind.get(v, v) for v in node.bottoms]
        if node.config.type in VIEWS:
            behind.update(dict.fromkeys(node.tops, bottoms[0]))
            continue
        if node.config.type == "BatchNorm" or (node.config.type == "Scale" and normalised.issuperset(bottoms)):
            normalised.update(node.tops)
        for v in _wanted(node, bottoms, sizes, normalised):
            if v in sizes.blobs:
                counts[v] = prod(sizes.blobs[v]) * (2 if node.config.type == "LRN" else 1)  # and the sum of squares
    return [*counts.values()]


def of_products(graph: Graph, sizes: Sizes) -> list[int]:
    """Returns the number of values in each kept blob. With `-recompute`, a GPU keeps only the tops of data layers and
    of layers with weights."""
    return [
        prod(sizes.blobs[v])
        for node in graph.nodes
        for v in node.tops
        if v in sizes.blobs and (not node.bottoms or _has_weights(node, sizes))
    ]


def _wanted(node: Node, bottoms: list[Value], sizes: Sizes, normalised: set[Value]) -> list[Value]:
    """Returns the blobs from which a layer's gradient is computed."""
    kind = node.config.type
    if not node.bottoms or kind in BY_TOP:
        return [*node.tops]
    pool, operation = windows.pooling(node).pool, node.config.eltwise_param.operation
    if (
        kind in LINEAR
        or (kind == "Scale" and normalised.issuperset(bottoms))
        or (kind in ("Pooling", "PoolingND") and pool != pb.PoolingParameter.MAX)
        or (kind == "Eltwise" and operation == pb.EltwiseParameter.SUM)
    ):
        return []
    return bottoms


def _has_weights(node: Node, sizes: Sizes) -> bool:
    """Whether the layer has parameters other than one number per channel."""
    return any(len(shape) > 1 for _, shape in sizes.params.get(node.name, ()))
