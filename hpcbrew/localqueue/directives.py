"""Parses the #PBS lines of a script as qsub does: those before the first command."""

import re
import shlex
from collections.abc import Sequence
from typing import Any

from hpcbrew.units import seconds

NAME = re.compile(r"[A-Za-z_][^/\0\n]{0,229}")
"""A job's name; it becomes part of a file name."""

MOST_IN_ARRAY = 10_000
"""PBS's default of max_array_size."""


class BadDirective(ValueError):
    """A directive that qsub would refuse. The message is in qsub's words."""


def parse(script: str, flags: Sequence[str] = ()) -> dict[str, Any]:
    """Returns the options: name, walltime (seconds), ncpus, ngpus, nodes, queue, project, output, error, join, depend,
    select, array (first and last index). `flags` are those of qsub's command line, which override the script's lines.
    Raises BadDirective."""
    if "\r" in script:
        raise BadDirective("script contains cr, lf")
    if "\0" in script:
        raise BadDirective("script contains NUL")
    options: dict[str, Any] = {"queue": "local", "ncpus": 1, "ngpus": 0, "nodes": 1}
    for line in script.split("\n"):
        if line.startswith("#PBS "):
            try:
                words = shlex.split(line[5:], comments=False)
            except ValueError as error:  # an unclosed quotation
                raise BadDirective(f"directive error: {line[5:]}: {error}") from None
            for flag, value in zip(words[::2], words[1::2], strict=False):
                _apply(options, flag, value)
        elif line.strip() and not line.startswith("#"):
            break
    for flag, value in zip(flags[::2], flags[1::2], strict=False):
        _apply(options, flag, value)
    return options


def _apply(options: dict[str, Any], flag: str, value: str) -> None:
    plain = {"-N": "name", "-q": "queue", "-P": "project", "-o": "output", "-e": "error", "-j": "join"}
    if flag == "-N" and not NAME.fullmatch(value):
        raise BadDirective("illegal -N value")
    if flag in plain:
        options[plain[flag]] = value
    elif flag == "-l":
        for resource in value.split(","):
            _resource(options, *resource.split("=", 1))
    elif flag == "-W":
        key, _, setting = value.partition("=")
        if key == "depend":
            options["depend"] = setting
    elif flag == "-J":
        match = re.fullmatch(r"([0-9]{1,9})-([0-9]{1,9})", value)
        if match is None or int(match[1]) >= int(match[2]):
            raise BadDirective("illegal -J value")
        if int(match[2]) - int(match[1]) >= MOST_IN_ARRAY:
            raise BadDirective("Array job exceeds server or queue size limit")
        options["array"] = [int(match[1]), int(match[2])]
    elif flag not in ("-S", "-r", "-k", "-m", "-M", "-A"):
        raise BadDirective(f"invalid option -- '{flag.lstrip('-')}'")


def _resource(options: dict[str, Any], name: str, value: str = "") -> None:
    if name == "walltime":
        try:
            options["walltime"] = seconds(value)
        except ValueError:
            raise BadDirective("Illegal attribute or resource value Resource_List.walltime") from None
    elif name == "select":
        options["select"] = value
        nodes = value.split(":", maxsplit=1)[0]
        options["nodes"] = _count("select", nodes) if nodes.isdigit() else 1
        for key, number in re.findall(r"\b(ncpus|ngpus)=(\d+)", value):
            options[key] = _count(key, number)
    elif name in ("ncpus", "ngpus"):
        options[name] = _count(name, value)


def _count(name: str, value: str) -> int:
    if not re.fullmatch("[0-9]{1,6}", value):
        raise BadDirective(f"Illegal attribute or resource value Resource_List.{name}")
    return int(value)
