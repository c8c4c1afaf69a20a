"""Requests on several nodes: each node gets its own, but all must act on the same one at the same iteration."""

from collections import deque

import numpy as np

from engine.devices.data_parallel import DataParallel
from engine.solver.control.requests import Request, Requests

NUMBERED = (None, Request.SNAPSHOT, Request.STOP, Request.YIELD)
"""The requests, which nodes exchange by number; the largest number wins."""

LAG = 2
"""Iterations between a request and acting on it: by then all nodes have it, without having waited."""


class Agreed(Requests):
    """The requests of all nodes. Every process calls `take` equally often, after the same iterations."""

    def __init__(self, own: Requests, parallel: DataParallel) -> None:
        super().__init__(own.deadline)
        self._own, self._parallel = own, parallel
        self._pending: deque[object] = deque()

    def add(self, request: Request) -> None:
        """Adds a request to this node, as a signal would."""
        self._own.add(request)

    def take(self) -> Request | None:
        """The request that any node made LAG calls ago."""
        self._pending.append(self._parallel.all_reduce_max(NUMBERED.index(self._own.take())))
        return NUMBERED[int(np.asarray(self._pending.popleft()))] if len(self._pending) > LAG else None

    def ending(self) -> Request | None:
        """This node's own request that ends the run: only the root tests, and it tells the others how a test ended."""
        return self._own.ending()

    def took(self, part: str, seconds: float) -> None:
        self._own.took(part, seconds)


def agreed(own: Requests, parallel: DataParallel) -> Requests:
    """`own`; with several nodes, the requests of all."""
    return Agreed(own, parallel) if parallel.nodes > 1 else own
