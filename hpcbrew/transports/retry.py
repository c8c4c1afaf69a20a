"""Trying again: connecting always, running only what may be run more than once."""

import time
from collections.abc import Callable
from time import monotonic
from typing import TypeVar

from hpcbrew.errors import TransportError, Unanswered, Unreachable

PAUSES = (0.0, 1.0, 2.0, 4.0, 8.0)
"""Seconds before each further attempt, where one broke off that may be repeated."""

MUTE = 10.0
"""Seconds that a connection takes to fail where nobody answers: it is not tried again."""

Result = TypeVar("Result")


def attempts(
    connect: Callable[[], None],
    run: Callable[[int], Result],
    *,
    idempotent: bool,
    say: Callable[[str], object],
) -> Result:
    """What `run` gives, which is told how often it was tried before; `idempotent`: it may be run more than once.

    Connecting is tried again unless it was for want of any answer: nothing has been asked for by then. What gave no
    answer is not: it may be at work still, and the next might be as silent. `say` is told why one waits.

    Once an attempt has been cut off, every error is retryable: it may have done its work.
    """
    begun = False
    for attempt, pause in enumerate((*PAUSES, None)):
        connected, started = False, monotonic()
        try:
            connect()
            connected = True
            return run(attempt)
        except Unanswered:
            raise
        except TransportError as error:
            mute = not connected and monotonic() - started > MUTE
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
