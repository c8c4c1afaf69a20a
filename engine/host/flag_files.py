"""Flags from files and the environment, for every command: gflags' -flagfile, -fromenv and -tryfromenv."""

import fnmatch
import os
from collections.abc import Iterator, Sequence
from pathlib import PurePath

from engine import gflags
from engine.errors import EngineError
from engine.host import regular_file

_LARGEST = 1 << 20
"""The most bytes of a flag file, more than any command line may have."""


def expanded(argv: Sequence[str], program: str) -> list[str]:
    """`argv` with -flagfile, -fromenv and -tryfromenv replaced by the flags from there that are for `program`.

    A file has one flag per line, as `-name=value`; flags after a line of program names are only for these programs.
    Raises EngineError for a file that cannot be read or includes itself, and for a variable that is not set.
    """
    return list(_expanded(iter(argv), program, ()))


def _expanded(args: Iterator[str], program: str, within: tuple[str, ...]) -> Iterator[str]:
    for arg in args:
        if arg == "--":
            yield from (arg, *args)
            return
        name, value = (gflags.own(arg, args) if arg.startswith("-") else None) or ("", arg)
        if name == "flagfile":
            for file in filter(None, value.split(",")):
                yield from _from_file(file, program, within)
        elif name in gflags.FROM_ENVIRONMENT:
            yield from _from_environment(value.split(","), required=name == "fromenv")
        else:
            yield f"-undefok={value}" if name else arg


def _from_file(file: str, program: str, within: tuple[str, ...]) -> Iterator[str]:
    if file in within:
        raise EngineError(f"-flagfile {file}: includes itself{' through ' + within[-1] if within[-1] != file else ''}.")
    try:
        text = os.fsdecode(regular_file.read(file, _LARGEST, pipes=True))
    except OSError as e:
        raise EngineError(f"-flagfile {file}: cannot be read: {e.strerror}.") from e
    if "\0" in text:
        raise EngineError(f"-flagfile {file}: holds binary data; give one flag per line, such as -solver=s.prototxt.")
    ours = True
    named = False
    for number, line in enumerate(text.split("\n"), start=1):
        words = line.strip()
        if not words or words.startswith("#"):
            continue
        if words.startswith("-"):
            named = False
            if ours:
                yield from _expanded(iter([_whole(words, f"{file}:{number}")]), program, (*within, file))
            continue
        ours = (named and ours) or any(fnmatch.fnmatch(program, PurePath(word).name) for word in words.split())
        named = True


def _whole(flag: str, where: str) -> str:
    name, equals, _ = flag.partition("=")
    if not equals and len(name.split()) > 1:
        raise EngineError(f'{where}: "{flag}": write the value of a flag in a file after =, as in -solver=s.prototxt.')
    return flag


def _from_environment(names: Sequence[str], *, required: bool) -> Iterator[str]:
    for name in filter(None, names):
        value = os.environ.get(f"FLAGS_{name}")
        if value is not None:
            yield f"-{name}={value}"
        elif required:
            raise EngineError(
                f"-fromenv {name}: there is no FLAGS_{name} in the environment; -tryfromenv does without it."
            )
