"""A progress bar for uploads and downloads, on terminals only."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from hpcbrew.transports.base import OnBytes


@contextmanager
def moving(verb: str, total: int) -> Iterator[OnBytes]:
    """Yields a function to call with the number of bytes of each piece that has moved, out of `total` bytes."""
    if not total or not sys.stderr.isatty():
        yield lambda size: None
        return
    from rich.console import Console  # noqa: PLC0415 - slow to import, and needed on a terminal only
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn  # noqa: PLC0415

    columns = (verb, BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda size: bar.advance(task, size)
