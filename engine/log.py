"""Training logs in Caffe's form: glog's prefix, and the lines that tools for Caffe's logs look for.

Messages go through the standard logger "caffe", so a program that embeds the engine can redirect them. `start` sends
them where glog does: to stderr, and to files in log_dir if that is set.
"""

import getpass
import logging
import os
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self, SupportsFloat, TextIO

from engine.errors import EngineError
from engine.printable import printable

_log = logging.getLogger("caffe")
_log.propagate = False
_log.addHandler(logging.NullHandler())
_ALL = (_log, logging.getLogger("engine"))

LEVELS = (logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL)
"""glog's levels, indexed by its numbers."""


@dataclass(frozen=True)
class LogFlags:
    """The flags of glog that are obeyed, under its names; the environment's GLOG_NAME is the default of each.

    logtostderr: log to stderr only. alsologtostderr: log to stderr as well as to files, which is Caffe's default;
    without it, only messages of level stderrthreshold or above go to stderr too. log_dir: the folder of the files.
    minloglevel: the level below which nothing is logged.
    """

    logtostderr: bool = False
    alsologtostderr: bool = True
    stderrthreshold: int = 2
    minloglevel: int = 0
    log_dir: str = ""
    log_prefix: bool = True
    log_year_in_prefix: bool = False

    @classmethod
    def from_environment(cls) -> Self:
        """Reads the variables as glog does: true is what is empty or begins with t, y or 1; a malformed number is 0."""
        variables = {f.name: os.environ.get(f"GLOG_{f.name}") for f in fields(cls)}
        return cls(**{name: _like(getattr(cls, name), value) for name, value in variables.items() if value is not None})


def _like(default: Any, value: str) -> Any:
    """A variable's value, converted to the type of `default`."""
    if isinstance(default, bool):
        return value[:1] in ("", "t", "T", "y", "Y", "1")
    if isinstance(default, int):
        return int(value) if value.lstrip("+-").isdecimal() else 0
    return value


def info(where: str, message: str) -> None:
    """Logs `message` as coming from `where`, Caffe's source file and line ("solver.cpp:239"), which tools go by.

    For a program without such a line, `where` is its name alone, and the line number is the caller's.
    """
    _log.info(message, extra={"where": where}, stacklevel=2)


def warning(where: str, message: str) -> None:
    """Like `info`, at glog's level WARNING."""
    _log.warning(message, extra={"where": where}, stacklevel=2)


def error(where: str, message: str) -> None:
    """Like `info`, at glog's level ERROR."""
    _log.error(message, extra={"where": where}, stacklevel=2)


def start(
    stream: TextIO | None = None, flags: LogFlags | None = None, program: str = "caffe"
) -> Sequence[logging.Handler]:
    """Sends the log of `program` to `stream` (stderr by default) and to files, as `flags` say, until `stop`.

    Only the log started last is written. An earlier one pauses until the later one is stopped, as when a Python
    program that logs calls a tool.

    Raises EngineError if log_dir cannot be written to.
    """
    flags = flags or LogFlags.from_environment()
    screen = logging.StreamHandler(stream or sys.stderr)
    handlers: list[logging.Handler] = [screen]
    if not (flags.logtostderr or flags.alsologtostderr):
        screen.setLevel(_level(flags.stderrthreshold))
    if not flags.logtostderr and (flags.log_dir or not flags.alsologtostderr):
        handlers += _files(Path(flags.log_dir or tempfile.gettempdir()), program)
    for handler in handlers:
        handler.setFormatter(GlogFormatter(flags))
    if _begun:
        _detach(_begun[-1])
    _begun.append(_Log(handlers, _level(flags.minloglevel)))
    _attach(_begun[-1])
    return handlers


def stop(handlers: Sequence[logging.Handler]) -> None:
    """Ends the log that `start` returned `handlers` for."""
    for begun in [each for each in _begun if each.handlers is handlers]:
        _detach(begun)
        _begun.remove(begun)
    for handler in handlers:
        if isinstance(handler, logging.FileHandler):
            handler.close()
    if _begun:
        _attach(_begun[-1])


@dataclass(frozen=True)
class _Log:
    handlers: Sequence[logging.Handler]
    level: int


_begun: list[_Log] = []
"""The logs started and not stopped yet; only the last one is written."""


def _attach(log: _Log) -> None:
    for logger in _ALL:
        logger.setLevel(log.level)
        for handler in log.handlers:
            logger.addHandler(handler)


def _detach(log: _Log) -> None:
    for logger in _ALL:
        for handler in log.handlers:
            logger.removeHandler(handler)


def _level(number: int) -> int:
    return LEVELS[min(max(number, 0), len(LEVELS) - 1)]


def _files(folder: Path, program: str) -> list[logging.Handler]:
    """glog's files, PROGRAM.HOST.USER.log.LEVEL.TIME.PID, each with the messages of its level and above."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as e:
        raise EngineError(f"-log_dir {folder}: logs cannot be written there: {e.strerror}.") from e
    return [_LevelFile(folder, program, level) for level in LEVELS[:-1]]


class _LevelFile(logging.FileHandler):
    """A log file that is created with its first message; the symbolic link PROGRAM.LEVEL points to the newest."""

    def __init__(self, folder: Path, program: str, level: int) -> None:
        self.link = folder / f"{program}.{logging.getLevelName(level)}"
        self.reported = False
        when = time.strftime("%Y%m%d-%H%M%S")
        name = f"{program}.{platform.node()}.{_user()}.log.{logging.getLevelName(level)}.{when}.{os.getpid()}"
        super().__init__(folder / name, mode="x", encoding="utf-8", errors="backslashreplace", delay=True)
        self.setLevel(level)

    def _open(self):  # type: ignore[no-untyped-def]  # as logging declares it
        stream = super()._open()
        stream.write(
            f"Log file created at: {time.strftime('%Y/%m/%d %H:%M:%S')}\nRunning on machine: {platform.node()}\n"
            "Log line format: [IWEF]mmdd hh:mm:ss.uuuuuu threadid file:line] msg\n"
        )
        with suppress(OSError):  # the link is only a convenience
            self.link.unlink(missing_ok=True)
            self.link.symlink_to(Path(self.baseFilename).name)
        return stream

    def handleError(self, record):  # type: ignore[no-untyped-def]
        """Reports a full disk once; it is no reason to end a training."""
        failure = sys.exc_info()[1]
        if not isinstance(failure, OSError):
            super().handleError(record)
        elif not self.reported:
            self.reported = True
            what = f"-log_dir: {self.baseFilename} cannot be written: {failure.strerror}. Later messages are not in it."
            error("logging.cc:1009", what)

    def close(self) -> None:
        with suppress(OSError):  # reported by handleError
            super().close()


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name, in a container
        return str(os.getuid())


class GlogFormatter(logging.Formatter):
    """`I1122 19:55:18.101435 18755 solver.cpp:45] message`: level, date, local time, process, place.

    By default the date has no year, as in the glog of Caffe's time, whose form the tools that read Caffe's logs expect.
    """

    def __init__(self, flags: LogFlags) -> None:
        super().__init__()
        self.prefixed = flags.log_prefix
        self.date = "%Y%m%d %H:%M:%S" if flags.log_year_in_prefix else "%m%d %H:%M:%S"

    def format(self, record: logging.LogRecord) -> str:
        message = printable(record.getMessage())
        if not self.prefixed:
            return message
        when = time.strftime(self.date, time.localtime(record.created))
        micros = int(record.created % 1 * 1e6)
        where = getattr(record, "where", record.name.rpartition(".")[2])
        where = where if ":" in where else f"{where}.py:{record.lineno}"
        return f"{record.levelname[0]}{when}.{micros:06d} {record.process:>5} {where}] {message}"


def number(x: SupportsFloat) -> str:
    """A number as a C++ stream prints it: 6 significant digits."""
    return f"{float(x):g}"
