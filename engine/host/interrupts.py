"""Ctrl-C while a program is being loaded: it ends in words."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from engine.job_contract import ExitCode


@contextmanager
def at_once(program: str = "caffe") -> Iterator[None]:
    """Ctrl-C inside ends the process: for imports, in which it would be a trace, or be lost in a library's callback.
    `program` says so.

    Whoever handles it otherwise than Python does goes on doing so.
    """
    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, lambda *_: _end(program))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(program: str) -> None:
    os.write(2, f"{program}: interrupted\n".encode(errors="replace"))
    os._exit(ExitCode.INTERRUPTED)
