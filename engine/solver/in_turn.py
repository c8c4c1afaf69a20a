"""On a CPU, passes of a large net one after the other.

JAX returns from a call before the device is done, and gives each call memory for what it computes in between from the
start: of calls that wait for one another, each has its own. Measured on ResNet-50, batch 8, whose passes take 1.1 GiB
each: 5.2 GiB in all when they are dispatched ahead; in turn 2.0, or 3.1 in about half of the runs that show each loss,
where glibc finds no place for what a pass computes where that of the pass before was.
"""

import time
from collections.abc import Callable
from typing import Any

import jax

from engine.host import memory
from engine.net import blob_memory
from engine.net.jitted import on_cpu
from engine.net.net import Net

LARGE = 2**27
"""Bytes of all blobs. A pass over so many takes a tenth of a second, the call that starts it a thousandth."""

MOMENT = 1e-3
"""Seconds. Values are ready a moment before the memory of what lay between them is free."""

UNSTEADY = 3
"""Passes after which the blocks that compiling and the first passes have left free are returned to the system."""


def settle(net: Net) -> Callable[[Any], None]:
    """To be called with what an earlier pass makes before the next one starts: waits for it where that is to be."""
    if not on_cpu() or blob_memory.size(net) <= LARGE:
        return lambda made: None
    first = iter(range(UNSTEADY))

    def wait(made: Any) -> None:
        jax.block_until_ready(made)
        time.sleep(MOMENT)
        if next(first, None) is not None:
            memory.return_free()

    return wait
