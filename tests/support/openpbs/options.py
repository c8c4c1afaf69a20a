"""The options of a job: qsub's flags, and the #PBS lines of the script before its first command."""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from support.openpbs.errors import Refused

# Flags with a value, and without; qsub reads them as getopt(3) does.
VALUED = "aAcCejJklmMNopPqrRSuvW"
BARE = "fhIVXz"
AFTER = {
    "after": "beforestart", "afterok": "beforeok", "afternotok": "beforenotok", "afterany": "beforeany"
}  # fmt: skip
MAX_ARRAY = 10000
LONGEST_NAME = 230

USAGE = """\
usage: qsub [-a date_time] [-A account_string] [-c interval]
\t[-C directive_prefix] [-e path] [-f ] [-h ] [-I [-X]] [-j oe|eo] [-J X-Y[:Z]]
\t[-k keep] [-l resource_list] [-m mail_options] [-M user_list]
\t[-N jobname] [-o path] [-p priority] [-P project] [-q queue] [-r y|n]
\t[-R o|e|oe] [-S path] [-u user_list] [-W otherattributes=value...]
\t[-v variable_list] [-V ] [-z] [script | -- command [arg1 ...]]
       qsub --version
"""


@dataclass
class Options:
    """`flags`: the values of plain flags by their letter. `depend`: (kind, ids). `array`: first, last, step, most."""

    flags: dict[str, str] = field(default_factory=dict)
    resources: dict[str, str] = field(default_factory=dict)
    other: dict[str, str] = field(default_factory=dict)

    @property
    def depend(self) -> list[tuple[str, list[str]]]:
        clauses = (clause.split(":") for clause in self.other.get("depend", "").split(",") if clause)
        return [(kind, ids) for kind, *ids in clauses]

    @property
    def array(self) -> dict[str, Any] | None:
        match = _array(self.flags["J"]) if "J" in self.flags else None
        if match is None:
            return None
        first, last, step, most = (int(n) if n else None for n in match.groups())
        assert first is not None
        assert last is not None
        return {"indices": list(range(first, last + 1, step or 1)), "most": most}


def parse(arguments: Sequence[str]) -> tuple[Options, list[str]]:
    """The options of qsub's command line, and what follows them. Raises Refused."""
    options = Options()
    rest = _getopt(options, list(arguments), first=True)
    return options, rest


def read_script(options: Options, script: str) -> None:
    """Adds what the script's directives ask for beyond the command line. Raises Refused."""
    if "\r" in script:
        raise Refused(1, "qsub: script contains cr, lf")
    for line in script.splitlines():
        if line.startswith("#PBS"):
            _getopt(options, shlex.split(line[4:]), first=False)
        elif line.strip() and not line.lstrip().startswith(("#", ":")):
            return


def _getopt(options: Options, words: list[str], *, first: bool) -> list[str]:
    wrong: list[str] = []
    while words and words[0].startswith("-") and words[0] not in ("-", "--"):
        letters = words.pop(0)[1:]
        while letters:
            letter, letters = letters[0], letters[1:]
            if letter in BARE:
                options.flags.setdefault(letter, "")
            elif letter in VALUED:
                value, letters = letters or (words.pop(0) if words else ""), ""
                _take(options, letter, value)
            else:
                wrong.append(f"qsub: invalid option -- '{letter}'\n")
    if wrong:
        raise Refused(2, "".join(wrong) + USAGE.rstrip())
    return words


def _take(options: Options, letter: str, value: str) -> None:
    """Adds an option unless it has been given before: the command line takes precedence, then earlier script lines."""
    if letter == "l":
        for resource in re.split(r",(?=\w+=)", value):
            name, _, amount = resource.partition("=")
            options.resources.setdefault(name, amount)
    elif letter == "W":
        key, _, setting = value.partition("=")
        _check(letter, bool(setting) and (key != "depend" or _depends(setting)))
        options.other.setdefault(key, setting)
    else:
        if letter == "N" and len(value) > LONGEST_NAME:
            raise Refused(2, "qsub: Job name is too long ")
        _check(letter, letter not in VALID or VALID[letter](value) is not None)
        if letter == "J" and len(Options({"J": value}).array["indices"]) > MAX_ARRAY:  # type: ignore[index]
            raise Refused(3, "qsub: Array job exceeds server or queue size limit")
        options.flags.setdefault(letter, value)


def _check(letter: str, good: bool) -> None:
    if not good:
        raise Refused(2, f"qsub: illegal -{letter} value\n{USAGE.rstrip()}")


def _depends(setting: str) -> bool:
    clause = rf"({'|'.join(AFTER)})(:\d+(\[\d*\])?[\w.-]*)+"
    return all(re.fullmatch(clause, part) for part in setting.split(","))


def _array(value: str) -> re.Match[str] | None:
    match = re.fullmatch(r"(\d+)-(\d+)(?::(\d+))?(?:%(\d+))?", value)
    return match if match and int(match[1]) < int(match[2]) else None


VALID = {
    "J": _array,
    "N": re.compile(r"[\w.+-]+").fullmatch,
    "j": re.compile("oe|eo|n").fullmatch,
    "r": re.compile("y|n").fullmatch,
    "m": re.compile("n|[abej]+").fullmatch,
    "k": re.compile("n|[oed]+").fullmatch,
}
