"""Waits for what another process or thread does."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(condition: Callable[[], T], seconds: float = 60) -> T:
    """Returns what `condition` returns, once that is true. The limit only ends failing tests; it measures nothing."""
    end = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < end, f"it did not come true within {seconds} s"
        time.sleep(0.05)
    return result
