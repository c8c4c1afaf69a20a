"""Training logs in Caffe's form: glog's prefix, and the lines that tools which read such logs look for.

Messages go through the standard logger "caffe", so a program that embeds the engine may send them elsewhere; `start`
sends them to stderr as glog does. glog's own variables are obeyed: GLOG_minloglevel (0 info, 1 warnings, 2 errors) and
GLOG_log_year_in_prefix.
"""

import logging
import os
import sys
import time
from typing import SupportsFloat, TextIO

_log = logging.getLogger("caffe")
_log.propagate = False
_log.addHandler(logging.NullHandler())
_ALL = (_log, logging.getLogger("engine"))

LEVELS = {"0": logging.INFO, "1": logging.WARNING, "2": logging.ERROR, "3": logging.CRITICAL}


def info(where: str, message: str) -> None:
    """Logs `message` as Caffe's source file and line `where` does ("solver.cpp:239"); tools go by these."""
    _log.info(message, extra={"where": where})


def warning(where: str, message: str) -> None:
    """As `info`, with glog's W."""
    _log.warning(message, extra={"where": where})


def error(where: str, message: str) -> None:
    """As `info`, with glog's E."""
    _log.error(message, extra={"where": where})


def start(stream: TextIO | None = None) -> logging.Handler:
    """Sends the log to `stream` (stderr) from now on; the handler returned can be removed again by `stop`."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(GlogFormatter())
    for logger in _ALL:
        logger.addHandler(handler)
        logger.setLevel(LEVELS.get(os.environ.get("GLOG_minloglevel", "0"), logging.INFO))  # noqa: SIM112
    return handler


def stop(handler: logging.Handler) -> None:
    """Ends what `start` began."""
    for logger in _ALL:
        logger.removeHandler(handler)


class GlogFormatter(logging.Formatter):
    """`I20261122 19:55:18.101435 18755 solver.cpp:45] message`: level, date, local time, process, place."""

    def __init__(self) -> None:
        super().__init__()
        year = os.environ.get("GLOG_log_year_in_prefix", "1").lower() not in ("0", "false", "no")  # noqa: SIM112
        self.date = "%Y%m%d %H:%M:%S" if year else "%m%d %H:%M:%S"

    def format(self, record: logging.LogRecord) -> str:
        when = time.strftime(self.date, time.localtime(record.created))
        micros = int(record.created % 1 * 1e6)
        where = getattr(record, "where", f"{record.name.rpartition('.')[2]}.py:{record.lineno}")
        return f"{record.levelname[0]}{when}.{micros:06d} {record.process} {where}] {record.getMessage()}"


def number(x: SupportsFloat) -> str:
    """A number as a C++ stream prints it: 6 significant digits."""
    return f"{float(x):g}"
