"""How help is laid out: as click does it, and nothing breaks in mid-word on a narrow terminal."""

import re
import textwrap

import click

HEAD = re.compile(r"( *\S+(?: \S+)* {2,})(?=\S)")
"""What stands left of the second column of a table, the space between them with it."""


class HelpFormatter(click.HelpFormatter):
    """Lines that click keeps as they are (`\\b`) are broken too where they are too long: an example as a shell goes on
    with it, the row of a table below its second column."""

    def write_text(self, text: str) -> None:
        at, command = len(self.buffer), False
        super().write_text(text)
        lines = "".join(self.buffer[at:]).splitlines()
        del self.buffer[at:]
        for line in lines:
            command = bool(line.strip()) and (command or line.strip() in ("Example:", "Examples:"))
            self.write("".join(f"{part}\n" for part in broken(line, self.width, command=command)))


class Context(click.Context):
    """Of commands whose help is laid out so."""

    formatter_class = HelpFormatter


class Group(click.Group):
    """Lists its commands as click does, but with the whole first sentence of each command's help."""

    context_class = Context

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, self.commands[name].get_short_help_str(limit=200)) for name in self.list_commands(ctx)]
            )


def broken(line: str, width: int, *, command: bool) -> list[str]:
    """A line, in as many as it takes; of a `command` all but the last end with a backslash. A word that is longer than
    the width stays whole."""
    if len(line) <= width:
        return [line]
    indent = len(line) - len(line.lstrip())
    head = HEAD.match(line)
    hanging = indent + 4 if command else head.end() if head else indent
    parts = textwrap.wrap(
        line.strip(),
        width - (2 if command else 0),
        initial_indent=" " * indent,
        subsequent_indent=" " * hanging,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [f"{part} \\" for part in parts[:-1]] + parts[-1:] if command else parts
