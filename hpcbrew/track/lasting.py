"""Keeps going when the connection to a cluster drops, and stops when the reader of the output leaves."""

import select
import sys
import time
from collections.abc import Callable
from typing import TypeVar

from hpcbrew.errors import TransportError

PAUSE = 0.5
"""Seconds before the first retry after a dropped connection; doubled for each further one, up to SLOW."""

SLOW = 60.0
"""Seconds between two queries of a cluster that does not answer."""

Seen = TypeVar("Seen")
Say = Callable[[str], object]


def lasting(step: Callable[[], Seen], say: Say) -> Seen:
    """Repeats `step` as long as the connection drops, and calls `say` each time; the connection is made anew."""
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
    """Waits, but ends at once with BrokenPipeError, as a write would, if nobody reads the output any more (`|
    head`)."""
    output = select.poll()
    try:
        output.register(sys.stdout, 0)
    except (OSError, TypeError, ValueError):  # not a file
        time.sleep(seconds)
        return
    if output.poll(seconds * 1000):
        raise BrokenPipeError
