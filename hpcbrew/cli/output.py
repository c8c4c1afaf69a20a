"""All output of the commands goes through here: text from outside must not reach a terminal unfiltered."""

import codecs
import contextlib
import io
import json
import os
import shutil
import sys
from typing import IO, Any

import click

from engine import terminal_text
from engine.help_text import broken
from engine.printable import printable

DETACHED = 130  # 128 + SIGINT: Ctrl-C has stopped the watching of a job, not the job

WIDTH = 100
"""Characters per line where there is no terminal."""

CELL = 200
"""The most characters in one cell of a table."""


def say(*parts: str | tuple[str, str], err: bool = False, end: str = "\n") -> None:
    """Prints the parts, joined. A pair is text and its colour, which is used on terminals that show colours."""
    texts = (
        printable(part) if isinstance(part, str) else click.style(printable(part[0], one_line=True), fg=part[1])
        for part in parts
    )
    click.echo("".join(texts) + end, nl=False, err=err)


def warn(words: str) -> None:
    """Prints a warning on standard error, since a program may be reading standard output."""
    say(wrapped(f"hpcbrew: {words}", err=True), err=True)


def tell(line: str, *, err: bool = False) -> None:
    """Prints a sentence for a person, wrapped between words at the width of the terminal."""
    say(wrapped(line, indent=4, err=err), err=err)


def wrapped(text: str, *, indent: int = 0, err: bool = False) -> str:
    """Wraps each line of `text` between words at the width of the terminal, with continuation lines indented. Returns
    it unchanged if standard output (or error) is not a terminal: a pipe has no width."""
    return terminal_text.wrapped(text, sys.stderr if err else sys.stdout, indent=indent)


def terminal_width() -> int:
    """Returns the width of the terminal that the command was typed at, even if its output goes into `less` or `head`;
    WIDTH if there is no terminal."""
    if columns := shutil.get_terminal_size((0, 0)).columns:
        return columns
    for stream in (sys.stderr, sys.stdin):
        with contextlib.suppress(OSError, AttributeError, ValueError):
            return os.get_terminal_size(stream.fileno()).columns or WIDTH
    return WIDTH


def wrapped_command(line: str) -> str:
    """Wraps a command that is meant to be copied: on a narrow terminal it is continued with backslashes."""
    if not sys.stdout.isatty():
        return line
    return "\n".join(broken(line, terminal_text.columns(sys.stdout), command=True))


def say_json(value: object, indent: int | None = None) -> None:
    """Prints a value as JSON."""
    click.echo(json_text(value, indent))


def json_text(value: object, indent: int | None = None) -> str:
    """Returns JSON in ASCII without control characters. json.dumps leaves only DEL, and only in strings."""
    return json.dumps(value, indent=indent).replace("\x7f", r"\u007f")


def cell(text: str) -> str:
    """Returns `text` as a table shows it: on one line, of at most CELL characters."""
    line = printable(text[: CELL + 1], one_line=True)
    return line if len(line) <= CELL else f"{line[: CELL - 1]}…"


def log_output(*, as_json: bool = False) -> IO[bytes]:
    """Returns the stream for the bytes of a log. On a terminal, control characters except line breaks and tabs are
    escaped, as less does; to a pipe or a file all bytes go unchanged, so that `| less -R` shows a log's own colours."""
    if as_json:
        return _Ascii(sys.stdout.buffer)
    return _Visible(sys.stdout.buffer) if sys.stdout.isatty() else sys.stdout.buffer


class _Visible(io.BytesIO):
    """Writes printable text to a terminal. An incomplete character is held back until the rest arrives."""

    def __init__(self, out: IO[bytes]) -> None:
        super().__init__()
        self._out = out
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")

    def write(self, data: Any) -> int:
        text = printable(self._decoder.decode(bytes(data)))
        self._out.write(text.encode(sys.stdout.encoding, "backslashreplace"))
        return len(data)

    def flush(self) -> None:
        self._out.flush()


class _Ascii(_Visible):
    """Writes JSON objects in ASCII, escaping any DEL in their strings."""

    def write(self, data: Any) -> int:
        self._out.write(bytes(data).replace(b"\x7f", rb"\u007f"))
        return len(data)


def figure(value: Any, otherwise: str) -> str:
    """Returns a number, or a list of numbers, with four significant digits; `otherwise` for anything else. The engine
    writes null for NaN, which JSON lacks."""
    if isinstance(value, list):
        return f"[{', '.join(figure(v, otherwise) for v in value)}]"
    return f"{value:.4g}" if isinstance(value, int | float) else otherwise
