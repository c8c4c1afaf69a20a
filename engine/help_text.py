"""Lays out help texts: as click does, but without breaking words on a narrow terminal."""

import re
import textwrap

import click

HEAD = re.compile(r"( *\S+(?: \S+)* {2,})(?=\S)")
"""The first column of a table's row, with the space between it and the second."""


class HelpFormatter(click.HelpFormatter):
    """Also wraps those overlong lines that click leaves alone (`\\b`): an example command with the shell's trailing
    backslash, the row of a table below its second column."""

    def write_text(self, text: str) -> None:
        at, command = len(self.buffer), False
        super().write_text(text)
        lines = "".join(self.buffer[at:]).splitlines()
        del self.buffer[at:]
        for line in lines:
            command = bool(line.strip()) and (command or line.strip() in ("Example:", "Examples:"))
            self.write("".join(f"{part}\n" for part in broken(line, self.width, command=command)))


class Context(click.Context):
    """The context of commands whose help is laid out by HelpFormatter."""

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
    """A line, wrapped to `width`; all but the last line of a `command` end with a backslash. A word longer than the
    width stays whole."""
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
