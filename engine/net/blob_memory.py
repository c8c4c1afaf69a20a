"""Whether a net's blobs can lie in the machine's memory: told before the system ends a process that asks for more."""

from math import prod

from engine.errors import NetError
from engine.host import memory
from engine.net.net import Net

SURE = 2
"""A compiled pass need not keep every blob: so many times the memory is more than any fusing of layers saves."""


def size(net: Net) -> int:
    """Bytes of all its blobs together, in float32."""
    return sum(4 * prod(shape) for shape in net.blob_shapes.values())


def check(net: Net) -> None:
    """For a net that is trained on the CPU. Raises NetError where its blobs are far too large."""
    asked = size(net)
    if asked > SURE * memory.limit():
        where = net.graph.nodes[0].origin.path
        raise NetError(
            f"{f'{where}: ' if where else ''}the net, all its blobs together, {memory.lacking(asked)}. Give its data "
            "layers smaller batches; iter_size adds up the gradients of several."
        )
