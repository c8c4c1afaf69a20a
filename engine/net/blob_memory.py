"""Checks that a net's blobs fit into the machine's memory, before the system kills a process that asks for too much."""

from math import prod

from engine.errors import NetError
from engine.host import memory
from engine.net.net import Net

MARGIN = 2
"""A compiled pass need not keep every blob; blobs of this many times the memory won't fit however layers are fused."""


def size(net: Net) -> int:
    """Total bytes of the net's blobs in float32."""
    return sum(4 * prod(shape) for shape in net.blob_shapes.values())


def check(net: Net) -> None:
    """Raises NetError if the blobs of a net, to be trained on the CPU, are far too large."""
    net_bytes = size(net)
    if net_bytes > MARGIN * memory.limit():
        where = net.graph.nodes[0].origin.path
        raise NetError(
            f"{f'{where}: ' if where else ''}the net, with all its blobs, {memory.lacking(net_bytes)}. Give its data "
            "layers smaller batches; iter_size adds up the gradients of several."
        )
