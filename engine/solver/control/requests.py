"""What a user or a scheduler asks of a running training, by signals and by a deadline."""

import enum
import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any


class Request(enum.Enum):
    """SNAPSHOT: write one and go on. STOP: write one and end. YIELD: the same, for a later job to continue."""

    SNAPSHOT = "snapshot"
    STOP = "stop"
    YIELD = "yield"


EFFECTS: dict[str, Request | None] = {"stop": Request.STOP, "snapshot": Request.SNAPSHOT, "none": None}
"""The values of Caffe's -sigint_effect and -sighup_effect."""


STOPPING = b"Stopping after this iteration, with a snapshot. Ctrl-C again stops at once, without one.\n"


class Requests:
    """Collects requests; the training loop takes them one at a time between two batches.

    deadline: the time.time() by which the process must have ended. The loop reports how long its parts take, so that
    there is time for the last snapshot.
    """

    def __init__(self, deadline: float | None = None) -> None:
        self.deadline = deadline
        self._waiting: list[Request] = []
        self._longest: dict[str, float] = {}

    def add(self, request: Request) -> None:
        self._waiting.append(request)

    def take(self) -> Request | None:
        """The next request, or None."""
        if self._waiting:
            return self._waiting.pop(0)
        if self.deadline is not None and time.time() + self.reserve() >= self.deadline:
            self.deadline = None
            return Request.YIELD
        return None

    def ending(self) -> Request | None:
        """The next request that ends the run; requests for snapshots stay in the queue."""
        waiting = [request for request in self._waiting if request is Request.SNAPSHOT]
        self._waiting = [request for request in self._waiting if request is not Request.SNAPSHOT]
        request = self.take()
        self._waiting += waiting
        return request

    def took(self, part: str, seconds: float) -> None:
        """Notes how long a part of the loop ("iteration", "snapshot") took."""
        self._longest[part] = max(seconds, self._longest.get(part, 0.0))

    def reserve(self) -> float:
        """Seconds to keep free before the deadline: twice the longest time of each part, and 5 for the exit."""
        return 5.0 + 2 * sum(self._longest.values())


_replaced: dict[signal.Signals, Any] = {}
"""The handlers that `signals` has replaced, while its own are in place."""


def _leave_to_parent() -> None:
    """For forked processes, such as those of data layers. SIGTERM ends them, as whoever forked them expects. The other
    signals are left to the parent, which still needs their results. (Ignored by handlers rather than SIG_IGN, which
    programs that they start would inherit.)
    """
    for number, before in _replaced.items():
        signal.signal(number, before if number == signal.SIGTERM else lambda *_: None)


os.register_at_fork(after_in_child=_leave_to_parent)


@contextmanager
def signals(requests: Requests, effects: Mapping[signal.Signals, Request | None]) -> Iterator[None]:
    """Turns signals into requests while the block runs. A second SIGINT ends the process at once.

    This holds only for this process: one forked from it ends at SIGTERM, and ignores the other signals.
    """

    def on_signal(number: int, frame: FrameType | None) -> None:
        request = effects[signal.Signals(number)]
        if request is None:
            return
        requests.add(request)
        if number == signal.SIGINT and request is Request.STOP:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            begin = b"\n" if os.isatty(2) else b""  # after the terminal's ^C; tools that read logs expect no empty line
            os.write(2, begin + STOPPING)

    _replaced.update({number: signal.signal(number, on_signal) for number in effects})
    try:
        yield
    finally:
        while _replaced:
            number, handler = _replaced.popitem()
            signal.signal(number, handler)
