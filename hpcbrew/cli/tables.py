"""Tables of text: columns are as wide as their cells, and on a terminal the table is no wider than the terminal."""

import shutil
import sys
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from hpcbrew.cli.output import cell, say, wrapped
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


def show(
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    colours: Mapping[Any, str] | None = None,
    *,
    spare: Collection[str] = (),
) -> None:
    """Prints heads and rows, without empty columns. On a terminal, columns that do not fit are printed below their row,
    each with its head, and wrapped between words. `colours` maps the exact text of a cell to its colour. `spare`: heads
    of columns that may be dropped, if they say the same for all rows, so that the others fit.
    """
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    heads, lines, widths = _used(heads, [[cell(text) for text in row] for row in rows], ())
    if _fitting(widths, width) < len(heads):
        heads, lines, widths = _used(heads, lines, spare)
    columns = _fitting(widths, width)
    _line(heads[:columns], widths)
    for row in lines:
        _line(row[:columns], widths, colours)
        below = "; ".join(_named(head, text) for head, text in zip(heads[columns:], row[columns:], strict=True) if text)
        if below:
            say(wrapped(f"    {below}", indent=4))


def _used(
    heads: Sequence[str], rows: Sequence[Sequence[str]], spare: Collection[str]
) -> tuple[list[str], list[list[str]], list[int]]:
    """Returns heads and rows without the empty and spare columns, and the widths of the remaining ones."""
    columns = [
        (head, *column)
        for head, column in zip(heads, zip(*rows, strict=True), strict=True)
        if any(column) and not (head in spare and len(column) > 1 and len(set(column)) == 1)
    ]
    lines = [list(line) for line in zip(*columns, strict=True)]
    return lines[0], lines[1:], [max(map(len, column)) for column in columns]


def _fitting(widths: Sequence[int], width: int | None) -> int:
    """Returns how many columns, from the left, fit side by side into `width` characters; at least one."""
    if width is None:
        return len(widths)
    ends = [sum(widths[: n + 1]) + len(GAP) * n for n in range(len(widths))]
    return max(1, sum(end <= width for end in ends))


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
