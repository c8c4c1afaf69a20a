"""What the three upgrade tools share: arguments, errors, exit status."""

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

from engine.tools import command

M = TypeVar("M")


def run(
    argv: Sequence[str] | None,
    name: str,
    what: str,
    suffix: str,
    read: Callable[[str], M],
    write: Callable[[str, M], None],
) -> int:
    """Bring `what`, a file named *.`suffix`, to today's form.

    `read` the file that the first argument names, upgrading it, and `write` it to the second.
    Returns the exit status: 0, or 2 with a message on stderr and nothing written.
    """
    parser = argparse.ArgumentParser(
        prog=name,
        description=f"Bring {what} to today's form. What was changed is said on stderr.",
        epilog=f"example: {name} old.{suffix} new.{suffix}",
    )
    parser.add_argument("source", metavar="IN", help="the file to read, of any age")
    parser.add_argument("target", metavar="OUT", help="the file to write; may be the same")
    left, flags = command.arguments(name, argv)
    args = parser.parse_args(left)

    def work() -> None:
        write(args.target, read(args.source))
        print(f"{args.target}: written", file=sys.stderr)

    return command.run(name, work, flags)
