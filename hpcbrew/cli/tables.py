"""Tables of text: columns as wide as what is in them, and on a terminal no wider than it is."""

import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from hpcbrew.cli.output import cell, say
from hpcbrew.job import JobState

GAP = "  "

STATES = {
    JobState.RUNNING: "cyan",
    JobState.DONE: "green",
    JobState.FAILED: "red",
    JobState.DIVERGED: "red",
    JobState.LOST: "red",
    JobState.NEVER_RAN: "red",
    JobState.OUT_OF_MEMORY: "red",
    JobState.OUT_OF_WALLTIME: "yellow",
    JobState.CANCELLED: "yellow",
}


def show(heads: Sequence[str], rows: Sequence[Sequence[str]], colours: Mapping[Any, str] | None = None) -> None:
    """Prints heads and rows. Columns that nothing is in are left out. On a terminal, columns that do not fit go below
    their row, each with its head, and break between words. `colours`: of cells that hold just these words.
    """
    shown = [[cell(text) for text in row] for row in rows]
    used = [n for n, _ in enumerate(heads) if any(row[n] for row in shown)]
    heads, shown = [heads[n] for n in used], [[row[n] for n in used] for row in shown]
    widths = [max(map(len, column)) for column in zip(heads, *shown, strict=True)]
    most = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    kept = _fitting(widths, most)
    _line(heads[:kept], widths)
    for row in shown:
        _line(row[:kept], widths, colours)
        below = "; ".join(_named(head, text) for head, text in zip(heads[kept:], row[kept:], strict=True) if text)
        for line in textwrap.wrap(below, (most or 100) - 4, break_long_words=False, break_on_hyphens=False):
            say(f"    {line}")


def _fitting(widths: Sequence[int], most: int | None) -> int:
    """How many columns, from the left, stand side by side in `most` characters; one at least."""
    if most is None:
        return len(widths)
    ends = [sum(widths[: n + 1]) + len(GAP) * n for n in range(len(widths))]
    return max(1, sum(end < most for end in ends))


def _named(head: str, text: str) -> str:
    return text if head == "NOTE" else f"{head.lower()} {text}"


def _line(cells: Sequence[str], widths: Sequence[int], colours: Mapping[Any, str] | None = None) -> None:
    parts: list[str | tuple[str, str]] = []
    for n, text in enumerate(cells):
        colour = (colours or {}).get(text)
        parts.append((text, colour) if colour else text)
        if n + 1 < len(cells) and any(cells[n + 1 :]):
            parts.append(" " * (widths[n] - len(text)) + GAP)
    say(*parts)
