"""Tells the user when something takes long: a silent machine looks like a program that hangs."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

WORD = 5.0
"""Seconds without an answer after which the user is told."""


@contextmanager
def told(say: Callable[[str], object], words: str) -> Iterator[Callable[[], None]]:
    """Calls `say` if the block takes longer than WORD; yields a function to call once there is an answer."""
    timer = threading.Timer(WORD, say, [words])
    timer.daemon = True
    timer.start()
    try:
        yield timer.cancel
    finally:
        timer.cancel()


def login(destination: str) -> str:
    """Returns the message for a login that takes long."""
    return f"{destination}: no login yet after {WORD:.0f} s; still waiting for its answer"
