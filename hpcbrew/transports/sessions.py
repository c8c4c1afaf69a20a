"""Finds out how many commands a server lets run on one connection at once: sshd does not announce its MaxSessions."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from hpcbrew.errors import TransportError

TIDYING = 5.0
"""Seconds that a server may take to notice that a command has ended."""

PAUSE = 0.02  # seconds between two attempts until then

Result = TypeVar("Result")


class NoSession(TransportError):
    """The server accepts no further command just now; none was started."""


class Sessions:
    """Lets as many commands run at once as the server was found to accept. For several threads."""

    def __init__(self) -> None:
        self._running = 0
        self._limit: int | None = None
        self._changed = threading.Condition()

    def run(self, attempt: Callable[[], Result]) -> Result:
        """Returns the result of `attempt`; after NoSession, waits for another command to end and tries again.

        Raises NoSession if no other command was running.
        """
        since: float | None = None  # when it was first refused with no other command running
        while True:
            with self._changed:
                while self._limit is not None and self._running >= self._limit:
                    self._changed.wait()
                    since = None
                self._running += 1
            try:
                return attempt()
            except NoSession:
                with self._changed:
                    alone = self._running == 1
                    self._limit = max(1, self._running - 1)
                since = (since or time.monotonic()) if alone else None
                if since is not None and time.monotonic() - since > TIDYING:
                    raise
            finally:
                with self._changed:
                    self._running -= 1
                    self._changed.notify_all()
            time.sleep(PAUSE)
