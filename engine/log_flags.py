"""glog's flags on the command line of every command that writes a log: some are obeyed, the rest ignored."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from typing import Any

from engine.errors import EngineError
from engine.log import LogFlags

TRUE, FALSE = ("true", "t", "yes", "y", "1"), ("false", "f", "no", "n", "0")

_OBEYED: dict[str, type] = {f.name: type(f.default) for f in fields(LogFlags)}
_IGNORED: dict[str, type] = {
    "alsologtoemail": str,
    "colorlogtostderr": bool,
    "drop_log_memory": bool,
    "log_backtrace_at": str,
    "log_link": str,
    "logbuflevel": int,
    "logbufsecs": int,
    "logemaillevel": int,
    "logmailer": str,
    "max_log_size": int,
    "stop_logging_if_full_disk": bool,
    "symbolize_stacktrace": bool,
    "timestamp_in_logfile_name": bool,
    "v": int,
    "vmodule": str,
}
"""Flags about what this log lacks or always does: colours, mail, buffers, messages for Caffe's own developers."""
KINDS = _OBEYED | _IGNORED


def truth(name: str, value: str) -> bool:
    """A boolean flag's value as gflags reads it. Raises EngineError for anything else."""
    if value.lower() not in TRUE + FALSE:
        raise EngineError(f'-{name} is a yes or no: -{name}, -no{name}, or -{name}=true; "{value}" is neither.')
    return value.lower() in TRUE


def read(arg: str, rest: Iterator[str]) -> dict[str, Any] | None:
    """`{name: value}` if `arg` is one of glog's flags, otherwise None.

    A value that is an argument of its own is taken from `rest`. Raises EngineError for a missing value, and for one
    that is not of the flag's type.
    """
    if len(arg) < 2 or arg[0] != "-":
        return None
    name, equals, value = arg.lstrip("-").partition("=")
    if name.startswith("no") and KINDS.get(name[2:]) is bool and not equals:
        return {name[2:]: False}
    kind = KINDS.get(name)
    if kind is None:
        return None
    if kind is bool:
        return {name: truth(name, value if equals else "true")}
    if not equals and (value := next(rest, "")) == "":
        raise EngineError(f"-{name} needs a value: -{name}={'DIR' if name == 'log_dir' else '…'}.")
    if kind is int:
        if not re.fullmatch(r"-?[0-9]{1,10}", value):
            raise EngineError(f'-{name} takes a whole number, and "{value}" was found.')
        return {name: int(value)}
    return {name: value}


def applied(flags: dict[str, Any]) -> LogFlags:
    """The flags of the environment, overridden by `flags`."""
    return replace(LogFlags.from_environment(), **{name: value for name, value in flags.items() if name in _OBEYED})


def split(argv: Sequence[str]) -> tuple[list[str], LogFlags]:
    """`argv` without glog's flags, and the settings they make. Raises EngineError as `read` does."""
    rest, arguments, flags = iter(argv), [], dict[str, Any]()
    for arg in rest:
        flag = read(arg, rest)
        if flag is None:
            arguments.append(arg)
        flags.update(flag or {})
    return arguments, applied(flags)
