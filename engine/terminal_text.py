"""Wraps text between words at the width of a terminal; text for a pipe or a file stays as it is."""

import contextlib
import os
import shutil
import textwrap
from typing import TextIO

LEAST = 20
"""Width, in characters, of the narrowest terminal that text is wrapped for."""


def wrapped(text: str, stream: TextIO | None, *, indent: int = 0) -> str:
    """The text wrapped to the terminal that `stream` is, with continuation lines indented by `indent`; unchanged if
    `stream` is not a terminal. A path longer than a line is continued as a shell reads it, so that it can be copied."""
    if stream is None or not stream.isatty():
        return text
    return "\n".join(part for line in text.split("\n") for part in _lines(line, columns(stream), indent))


def columns(stream: TextIO) -> int:
    """The width of the terminal `stream`, in characters. It is asked itself, since standard output may be a pipe while
    standard error is a terminal."""
    if not os.environ.get("COLUMNS", "").isdecimal():
        with contextlib.suppress(OSError, AttributeError, ValueError):
            return max(os.get_terminal_size(stream.fileno()).columns, LEAST)
    return max(shutil.get_terminal_size().columns, LEAST)


def _lines(line: str, width: int, indent: int) -> list[str]:
    parts = textwrap.wrap(
        line,
        width,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
        replace_whitespace=False,
    )
    return [
        piece for part in parts or [""] for piece in ([part] if len(part) <= width else _path(part.lstrip(), width))
    ]


def _path(word: str, width: int) -> list[str]:
    """A word longer than a line, split after slashes, with backslashes at the line ends. The lines are not indented: a
    shell would take what follows spaces for another word. Names longer than a line stay whole."""
    pieces = [""]
    for name in word.split("/"):
        if pieces[-1] and len(pieces[-1]) + len(name) > width - 2:
            pieces[-1] += "\\"
            pieces.append("")
        pieces[-1] += f"{name}/"
    pieces[-1] = pieces[-1][:-1]
    return pieces
