"""Requests on several nodes: each hears its own, and all have to act on the same one at the same iteration."""

from collections import deque

import numpy as np

from engine.devices.data_parallel import DataParallel
from engine.solver.control.requests import Request, Requests

NUMBERED = (None, Request.SNAPSHOT, Request.STOP, Request.YIELD)
"""What nodes tell each other, by its number: the larger one counts."""

LAG = 2
"""Iterations between asking and acting: by then the answer is there, and nobody has waited for it."""


class Agreed(Requests):
    """The requests of all nodes. Each process takes as many as the others do, after the same iterations."""

    def __init__(self, own: Requests, parallel: DataParallel) -> None:
        super().__init__(own.deadline)
        self._own, self._parallel = own, parallel
        self._asked: deque[object] = deque()

    def add(self, request: Request) -> None:
        """Asked of this node, as if by a signal."""
        self._own.add(request)

    def take(self) -> Request | None:
        """What a node asked for LAG calls ago."""
        self._asked.append(self._parallel.all_reduce_max(NUMBERED.index(self._own.take())))
        return NUMBERED[int(np.asarray(self._asked.popleft()))] if len(self._asked) > LAG else None

    def ending(self) -> Request | None:
        """Of this node's own: a test is the root's alone, and it tells the others how that ended."""
        return self._own.ending()

    def took(self, part: str, seconds: float) -> None:
        self._own.took(part, seconds)


def agreed(own: Requests, parallel: DataParallel) -> Requests:
    """`own`, or on several nodes those of all."""
    return Agreed(own, parallel) if parallel.nodes > 1 else own
