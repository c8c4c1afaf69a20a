"""The log of a Python program: glog's, as Caffe's is, on stderr unless it is told otherwise."""

import logging
import sys
from collections.abc import Sequence
from dataclasses import replace
from operator import index
from typing import TextIO, cast

import engine.log

FATAL = 3
"""glog's number."""

_handlers: Sequence[logging.Handler] = ()


class _Stderr:
    """What sys.stderr is when something is said: notebooks and tests put others in its place."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


def begin() -> None:
    """The log of a program that has begun none, as glog's before InitGoogleLogging."""
    if all(isinstance(handler, logging.NullHandler) for handler in logging.getLogger("caffe").handlers):
        init_log()


def init_log(level: int | None = None, stderr: bool | None = None) -> None:
    """Begins the log anew. `level`: the least that is said, by glog's numbers. `stderr`: there alone, in no file.

    The rest is as GLOG_… in the environment says. Raises EngineError where log_dir cannot be written to.
    """
    global _handlers  # noqa: PLW0603  one log a process, as in Caffe
    flags = engine.log.LogFlags.from_environment()
    if level is not None:
        flags = replace(flags, minloglevel=index(level))
    if stderr is not None:
        flags = replace(flags, logtostderr=bool(stderr))
    engine.log.stop(_handlers)
    _handlers = engine.log.start(cast(TextIO, _Stderr()), flags, "python")


def set_logging_disabled() -> None:
    """Nothing is said from now on but what ends the program, as in the Caffe of FlowNet 2.0, whose scripts ask it."""
    init_log(FATAL)


def log(message: str | bytes) -> None:
    """Says something in the log."""
    engine.log.info("_caffe.cpp:71", message.decode(errors="replace") if isinstance(message, bytes) else str(message))
