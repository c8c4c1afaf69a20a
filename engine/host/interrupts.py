"""Ctrl-C while a program is loading or exiting ends it with a message, not a traceback. In between, none is lost."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from engine.job_contract import ExitCode

BEHIND = 0.01
"""Seconds after which a callback has almost certainly ended; if not, Ctrl-C is raised again."""


@contextmanager
def at_once(program: str = "caffe") -> Iterator[None]:
    """Ctrl-C inside ends the process with a message from `program`: for imports, where it would print a traceback or be
    lost in a library's callback.

    A handler other than Python's default stays in place.
    """
    if not _ours():
        yield
        return
    signal.signal(signal.SIGINT, lambda *_: _end(program))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@contextmanager
def heard(program: str = "caffe") -> Iterator[None]:
    """Ctrl-C inside is never lost. In the callback of a weak reference, of which JAX has many, or in a destructor,
    Python can only report it and go on; it is then raised again afterwards. After the block, Ctrl-C ends the process
    like in `at_once`, since it would print a traceback during exit."""
    before = sys.unraisablehook

    def report(unraisable: "sys.UnraisableHookArgs") -> None:
        if issubclass(unraisable.exc_type, KeyboardInterrupt):
            threading.Timer(BEHIND, signal.pthread_kill, (threading.main_thread().ident, signal.SIGINT)).start()
        else:
            before(unraisable)

    sys.unraisablehook = report
    try:
        yield
    finally:
        sys.unraisablehook = before
        if _ours():
            signal.signal(signal.SIGINT, lambda *_: _end(program))


def _ours() -> bool:
    """Whether Ctrl-C is handled by Python's default handler, and in this thread."""
    main = threading.current_thread() is threading.main_thread()
    return main and signal.getsignal(signal.SIGINT) is signal.default_int_handler


def _end(program: str) -> None:
    os.write(2, f"{program}: interrupted\n".encode(errors="replace"))
    os._exit(ExitCode.INTERRUPTED)
