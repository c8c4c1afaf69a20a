"""Retries: connecting always, running only what may be run more than once."""

import time
from collections.abc import Callable
from time import monotonic
from typing import TypeVar

from hpcbrew.errors import TransportError, Unanswered, Unreachable

PAUSES = (0.0, 1.0, 2.0, 4.0, 8.0)
"""Seconds before each further attempt after one that was cut off and may be repeated."""

MUTE = 10.0
"""A connection that takes more seconds than this to fail had no answer at all, and is not tried again."""

Result = TypeVar("Result")


def attempts(
    connect: Callable[[], None],
    run: Callable[[int], Result],
    *,
    idempotent: bool,
    say: Callable[[str], object],
) -> Result:
    """Returns the result of `run`, which is passed the number of earlier attempts; `idempotent`: it may be run more
    than once.

    Connecting is tried again, since nothing has been asked for by then, unless there was no answer at all. A run
    without an answer is not repeated: it may still be at work, and the next might be as silent. `say` is called before
    a wait.

    Once an attempt has been cut off, every error is retryable, since that attempt may have done its work.
    """
    begun = False
    for attempt, pause in enumerate((*PAUSES, None)):
        connected, start = False, monotonic()
        try:
            connect()
            connected = True
            return run(attempt)
        except Unanswered:
            raise
        except TransportError as error:
            mute = not connected and monotonic() - start > MUTE
            mute |= isinstance(error, Unreachable) and not begun
            if not error.retryable or (connected and not idempotent) or mute or pause is None:
                if begun and not error.retryable:
                    raise TransportError(str(error), retryable=True) from error
                raise
            begun |= connected
            if pause:
                say(f"{error}; trying again")
            time.sleep(pause)
    raise AssertionError("the last attempt returns or raises")
