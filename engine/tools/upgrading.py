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
    """The tool `name`, which upgrades `what`, a file named *.`suffix`, to the current format.

    It reads and upgrades the file named by its first argument with `read`, and writes it to the second with `write`,
    whole or not at all.
    """

    def work(source: str, target: str) -> None:
        write(target, read(source))
        print(f"{target}: written", file=sys.stderr)

    work.__doc__ = f"""Upgrade {what} of any version to the current format. IN: the file to read. OUT: the file to
    write, which may be the same. The changes are listed on stderr."""
    for argument in ("target", "source"):
        work = click.argument(argument, metavar={"source": "IN", "target": "OUT"}[argument])(work)
    work = fork_option(work) if suffix == "caffemodel" else work
    return tool(name, epilog=f"Example: {name} old.{suffix} new.{suffix}")(work)
