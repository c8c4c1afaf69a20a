"""Staying with a cluster whose connection drops, and with a reader who may leave."""

import select
import sys
import time
from collections.abc import Callable
from typing import TypeVar

from hpcbrew.errors import TransportError

PAUSE = 0.5
"""Seconds before what broke off is done again, at first; then twice as long each time, up to SLOW."""

SLOW = 60.0
"""Seconds between two looks at a cluster that does not answer."""

Seen = TypeVar("Seen")
Say = Callable[[str], object]


def lasting(step: Callable[[], Seen], say: Say) -> Seen:
    """Does `step` again and again, as long as the connection drops; each time it is made anew, and `say` is told."""
    pause = PAUSE
    while True:
        try:
            return step()
        except TransportError as error:
            if not error.retryable:
                raise
            say(f"{error}; connecting again")
            wait(pause)
            pause = min(pause * 2, SLOW)


def wait(seconds: float) -> None:
    """Ends at once, as a write would, where nobody reads any more what is printed: `| head` has seen enough."""
    output = select.poll()
    try:
        output.register(sys.stdout, 0)
    except (OSError, TypeError, ValueError):  # it is no file
        time.sleep(seconds)
        return
    if output.poll(seconds * 1000):
        raise BrokenPipeError
