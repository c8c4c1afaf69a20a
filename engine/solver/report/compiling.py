"""Logs a message if compiling takes long before the first iteration is shown."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from engine import log

PATIENCE = 5.0
"""Seconds before anything is logged."""


@contextmanager
def compiling(net: str) -> Iterator[None]:
    """A context for the first run of a net, which compiles it. If that takes long, logs so, and the time at the end."""
    begun, announced = time.monotonic(), threading.Event()

    def tell() -> None:
        announced.set()
        log.info("net.cpp:260", f"Compiling {net or 'the net'} for its first batch; a large net takes minutes, once.")

    timer = threading.Timer(PATIENCE, tell)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
    if announced.is_set():
        log.info("net.cpp:260", f"Compiled in {time.monotonic() - begun:.0f} s.")
