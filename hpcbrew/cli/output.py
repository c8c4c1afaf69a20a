"""All that the commands print goes through here: text from outside must not reach a terminal as it is."""

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

DETACHED = 130  # 128 + SIGINT: Ctrl-C has ended the watching of a job, and not the job

WIDTH = 100
"""Characters of a line that goes to no terminal."""

CELL = 200
"""Characters that one cell of a table shows at most."""


def say(*parts: str | tuple[str, str], err: bool = False, end: str = "\n") -> None:
    """Lines of text, their parts joined. A pair is text and its colour, on a terminal that shows colours."""
    shown = (
        printable(part) if isinstance(part, str) else click.style(printable(part[0], one_line=True), fg=part[1])
        for part in parts
    )
    click.echo("".join(shown) + end, nl=False, err=err)


def warn(words: str) -> None:
    """On standard error: standard output may be read by a program."""
    say(wrapped(f"hpcbrew: {words}", err=True), err=True)


def tell(line: str, *, err: bool = False) -> None:
    """A sentence for a person: broken between words where the terminal ends."""
    say(wrapped(line, indent=4, err=err), err=err)


def wrapped(text: str, *, indent: int = 0, err: bool = False) -> str:
    """Its lines broken between words at the width of the terminal, the further ones indented; as it is where standard
    output (or error) is none: a pipe has no width."""
    return terminal_text.wrapped(text, sys.stderr if err else sys.stdout, indent=indent)


def terminal_width() -> int:
    """Characters of the terminal that the command was typed at, though its output goes into `less` or `head`; WIDTH
    where there is none."""
    if columns := shutil.get_terminal_size((0, 0)).columns:
        return columns
    for stream in (sys.stderr, sys.stdin):
        with contextlib.suppress(OSError, AttributeError, ValueError):
            return os.get_terminal_size(stream.fileno()).columns or WIDTH
    return WIDTH


def wrapped_command(line: str) -> str:
    """A command that is to be copied: on a terminal that is too narrow it goes on as a shell reads it."""
    if not sys.stdout.isatty():
        return line
    return "\n".join(broken(line, terminal_text.columns(sys.stdout), command=True))


def say_json(value: object, indent: int | None = None) -> None:
    """A value for programs, which a person may look at."""
    click.echo(json_text(value, indent))


def json_text(value: object, indent: int | None = None) -> str:
    """JSON in ASCII without control characters; of those it has DEL alone, and only in strings."""
    return json.dumps(value, indent=indent).replace("\x7f", r"\u007f")


def cell(text: str) -> str:
    """What a table shows of it: one line, and not too long."""
    shown = printable(text[: CELL + 1], one_line=True)
    return shown if len(shown) <= CELL else f"{shown[: CELL - 1]}…"


def log_output(*, as_json: bool = False) -> IO[bytes]:
    """Where the bytes of a log go. On a terminal, control characters but line breaks and tabs are written out, as less
    does it; to a pipe or a file all goes as it is, so that `| less -R` shows a log's own colours."""
    if as_json:
        return _Ascii(sys.stdout.buffer)
    return _Visible(sys.stdout.buffer) if sys.stdout.isatty() else sys.stdout.buffer


class _Visible(io.BytesIO):
    """Writes to a terminal what can be seen. A character that is not whole waits for its end."""

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
    """Writes objects in ASCII, in whose strings DEL stood as it is."""

    def write(self, data: Any) -> int:
        self._out.write(bytes(data).replace(b"\x7f", rb"\u007f"))
        return len(data)


def figure(value: Any, otherwise: str) -> str:
    """A number, or a list of them, with four digits; `otherwise` where there is none. The engine writes null for NaN,
    which JSON does not have."""
    if isinstance(value, list):
        return f"[{', '.join(figure(v, otherwise) for v in value)}]"
    return f"{value:.4g}" if isinstance(value, int | float) else otherwise
