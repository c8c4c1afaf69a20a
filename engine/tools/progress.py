"""A tool's progress bar, on terminals only; elsewhere the lines of the log show the progress."""

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
    """Yields the items, counting each when the next is requested. `begun`: how many of `total` were done before."""
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
    """A progress bar for `total` bytes (None: unknown). Yields a function that advances it by a number of bytes."""
    console = Console(file=sys.stderr)
    columns = BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=total, completed=begun)
        yield lambda count: bar.advance(task, count)
