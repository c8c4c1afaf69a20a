"""The #PBS lines of a script, as qsub reads them: those before the first command."""

import re
import shlex
from collections.abc import Sequence
from typing import Any

from hpcbrew.units import seconds


class BadDirective(ValueError):
    """A directive that qsub would refuse. The message is in qsub's words."""


def parse(script: str, flags: Sequence[str] = ()) -> dict[str, Any]:
    """`flags` are those of qsub's own command line, which win over the script's lines. Gives
    name, walltime (seconds), ncpus, ngpus, nodes, queue, project, output, join, hold, depend, variables,
    array (first and last index)."""
    if "\r" in script:
        raise BadDirective("script contains cr, lf")
    options: dict[str, Any] = {"queue": "local", "ncpus": 1, "ngpus": 0, "nodes": 1}
    for line in script.splitlines():
        if line.startswith("#PBS "):
            words = shlex.split(line[5:], comments=False)
            for flag, value in zip(words[::2], words[1::2], strict=False):
                _apply(options, flag, value)
        elif line.strip() and not line.startswith("#"):
            break
    for flag, value in zip(flags[::2], flags[1::2], strict=False):
        _apply(options, flag, value)
    return options


def _apply(options: dict[str, Any], flag: str, value: str) -> None:
    plain = {"-N": "name", "-q": "queue", "-P": "project", "-o": "output", "-e": "error", "-j": "join"}
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
        match = re.fullmatch(r"(\d+)-(\d+)", value)
        if match is None or int(match[1]) >= int(match[2]):
            raise BadDirective("illegal -J value")
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
        options["nodes"] = int(value.split(":", maxsplit=1)[0]) if value.split(":", maxsplit=1)[0].isdigit() else 1
        for key, number in re.findall(r"\b(ncpus|ngpus)=(\d+)", value):
            options[key] = int(number)
    elif name in ("ncpus", "ngpus"):
        options[name] = int(value)
