"""The log of a Python program: in glog's format, like Caffe's, and on stderr unless configured otherwise."""

import logging
import sys
from collections.abc import Sequence
from dataclasses import replace
from operator import index
from typing import TextIO, cast

import engine.log

FATAL = 3
"""glog's number for this severity."""

_handlers: Sequence[logging.Handler] = ()


class _Stderr:
    """Writes to the current sys.stderr, which notebooks and tests replace."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


def begin() -> None:
    """Starts the log unless the program has started one, as glog logs before InitGoogleLogging."""
    if all(isinstance(handler, logging.NullHandler) for handler in logging.getLogger("caffe").handlers):
        init_log()


def init_log(level: int | None = None, stderr: bool | None = None) -> None:
    """Restarts the log. `level`: the lowest severity to log, by glog's numbers. `stderr`: log to stderr, not to files.

    Other settings come from GLOG_… in the environment. Raises EngineError if log_dir cannot be written to.
    """
    global _handlers  # noqa: PLW0603  one log per process, as in Caffe
    flags = engine.log.LogFlags.from_environment()
    if level is not None:
        flags = replace(flags, minloglevel=index(level))
    if stderr is not None:
        flags = replace(flags, logtostderr=bool(stderr))
    engine.log.stop(_handlers)
    _handlers = engine.log.start(cast(TextIO, _Stderr()), flags, "python")


def set_logging_disabled() -> None:
    """Logs only fatal errors from now on, as in FlowNet 2.0's fork of Caffe, whose scripts call this."""
    init_log(FATAL)


def log(message: str | bytes) -> None:
    """Writes a message to the log."""
    engine.log.info("_caffe.cpp:71", message.decode(errors="replace") if isinstance(message, bytes) else str(message))
