"""A word to whom it takes long: a machine that is mute looks like a program that hangs."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

WORD = 5.0
"""Seconds without an answer after which that is said."""


@contextmanager
def told(say: Callable[[str], object], words: str) -> Iterator[Callable[[], None]]:
    """Has `say` told where the block takes longer than WORD; gives what is to be called once there is an answer."""
    timer = threading.Timer(WORD, say, [words])
    timer.daemon = True
    timer.start()
    try:
        yield timer.cancel
    finally:
        timer.cancel()


def login(destination: str) -> str:
    """The words for a login that takes long."""
    return f"{destination}: no login yet after {WORD:.0f} s; still waiting for its answer"
