"""Text for a person at a terminal, broken between words where that ends; in a pipe or a file it stays as it is."""

import contextlib
import os
import shutil
import textwrap
from typing import TextIO

LEAST = 20
"""Characters of the narrowest terminal that text is laid out for."""


def wrapped(text: str, stream: TextIO | None, *, indent: int = 0) -> str:
    """Its lines broken at the width of the terminal that `stream` is, the further ones indented; as it is where that is
    none. A path that is longer than a line goes on in the next as a shell reads it, so that it can be copied."""
    if stream is None or not stream.isatty():
        return text
    return "\n".join(part for line in text.split("\n") for part in _lines(line, columns(stream), indent))


def columns(stream: TextIO) -> int:
    """Characters of a line of the terminal. Standard output may be a pipe where standard error is none."""
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
    """A word that is longer than a line, parted behind slashes; from the first column on, as it would be another word
    behind spaces. Names that are longer than a line stay whole."""
    pieces = [""]
    for name in word.split("/"):
        if pieces[-1] and len(pieces[-1]) + len(name) > width - 2:
            pieces[-1] += "\\"
            pieces.append("")
        pieces[-1] += f"{name}/"
    pieces[-1] = pieces[-1][:-1]
    return pieces
