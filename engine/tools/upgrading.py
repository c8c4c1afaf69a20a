"""What the three upgrade tools share."""

import sys
from collections.abc import Callable
from typing import TypeVar

import click

from engine.tools.command import fork_option, tool

M = TypeVar("M")


def upgrade(
    name: str, what: str, suffix: str, read: Callable[[str], M], write: Callable[[str, M], None]
) -> click.Command:
    """The tool `name`, which brings `what`, a file named *.`suffix`, to today's form.

    It `read`s the file that the first argument names, upgrading it, and `write`s it to the second, whole or not at all.
    """

    def work(source: str, target: str) -> None:
        write(target, read(source))
        print(f"{target}: written", file=sys.stderr)

    work.__doc__ = f"""Brings {what} to today's form. IN: the file to read, of any age. OUT: the file to write; may be
    the same. What was changed is said on stderr."""
    for argument in ("target", "source"):
        work = click.argument(argument, metavar={"source": "IN", "target": "OUT"}[argument])(work)
    work = fork_option(work) if suffix == "caffemodel" else work
    return tool(name, epilog=f"Example: {name} old.{suffix} new.{suffix}")(work)
