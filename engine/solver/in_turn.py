"""Runs the passes of a large net on a CPU one after the other, to save memory.

JAX returns from a call before the device is done, and allocates a call's intermediate memory at the start, so calls
that are queued each have their own. Measured on ResNet-50, batch 8, whose passes take 1.1 GiB each: 5.2 GiB in all when
passes are dispatched ahead; one after the other 2.0, or 3.1 in about half of the runs that show each loss, where glibc
cannot place the memory of a pass where that of the previous pass was.
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
"""Bytes of all blobs from which a net is large. A pass over these takes 0.1 s, and the call that starts it 0.001 s."""

MOMENT = 1e-3
"""Seconds to wait: values are ready a moment before the intermediate memory is free."""

UNSTEADY = 3
"""After each of this many first passes, free memory left by compiling and by the pass is returned to the system."""


def settle(net: Net) -> Callable[[Any], None]:
    """Returns a function to call, before a pass starts, with the results of the previous one. It waits for them if the
    net is large and on a CPU."""
    if not on_cpu() or blob_memory.size(net) <= LARGE:
        return lambda results: None
    first = iter(range(UNSTEADY))

    def wait(results: Any) -> None:
        jax.block_until_ready(results)
        time.sleep(MOMENT)
        if next(first, None) is not None:
            memory.return_free()

    return wait
