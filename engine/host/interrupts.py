"""Ctrl-C while a program is being loaded, or ends: it ends in words. Ctrl-C in between: it is heard."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from engine.job_contract import ExitCode

BEHIND = 0.01
"""Seconds after which a callback has ended, for certain almost; else it is once more."""


@contextmanager
def at_once(program: str = "caffe") -> Iterator[None]:
    """Ctrl-C inside ends the process: for imports, in which it would be a trace, or be lost in a library's callback.
    `program` says so.

    Whoever handles it otherwise than Python does goes on doing so.
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
    """Ctrl-C inside is never lost: where Python can only tell of it and go on, in the callback of a weak reference, as
    JAX has many, or in a destructor, it is raised once more behind that. Afterwards it ends the process, as `at_once`
    has it: for the way out, in which it would be a trace."""
    before = sys.unraisablehook

    def told(unraisable: "sys.UnraisableHookArgs") -> None:
        if issubclass(unraisable.exc_type, KeyboardInterrupt):
            threading.Timer(BEHIND, signal.pthread_kill, (threading.main_thread().ident, signal.SIGINT)).start()
        else:
            before(unraisable)

    sys.unraisablehook = told
    try:
        yield
    finally:
        sys.unraisablehook = before
        if _ours():
            signal.signal(signal.SIGINT, lambda *_: _end(program))


def _ours() -> bool:
    """Whether Ctrl-C is handled as Python does, and by this thread."""
    main = threading.current_thread() is threading.main_thread()
    return main and signal.getsignal(signal.SIGINT) is signal.default_int_handler


def _end(program: str) -> None:
    os.write(2, f"{program}: interrupted\n".encode(errors="replace"))
    os._exit(ExitCode.INTERRUPTED)
