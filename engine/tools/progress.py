"""How far a tool is: a bar on terminals; the log's own lines say it elsewhere."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

T = TypeVar("T")


def shown(items: Iterable[T], total: int | None = None, begun: int = 0) -> Iterator[T]:
    """The items, each counted when the next is asked for. `begun`: how many of the `total` were done before."""
    console = Console(file=sys.stderr)
    if not console.is_terminal:
        yield from items
        return
    columns = BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=total, completed=begun)
        for item in items:
            yield item
            bar.advance(task)


@contextmanager
def of_bytes(total: int | None, begun: int = 0) -> Iterator[Callable[[int], None]]:
    """A bar of `total` bytes (None: nobody knows), and what tells it that so many more have come."""
    console = Console(file=sys.stderr)
    columns = BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=total, completed=begun)
        yield lambda more: bar.advance(task, more)
