"""Reads metrics.jsonl, where the engine records its measurements, piece by piece however long it has grown."""

from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import Any, TypeVar

from hpcbrew import layout
from hpcbrew.errors import TransportError
from hpcbrew.track import run_folder
from hpcbrew.track.lasting import Say
from hpcbrew.track.log_tail import Lines, LogTail
from hpcbrew.transports.base import FileReader

LINE = 2**20
"""The most bytes of a line; a longer one was not written by the engine."""

MOST = 2**26
"""The most bytes read by `all`: of a longer file, only the end."""

Found = TypeVar("Found")


class Metrics:
    """The entries of a run folder's metrics. `say` is called if they are not a regular file or too long to be read
    whole; with `lasting`, also for each dropped connection, which otherwise is raised."""

    def __init__(self, reader: FileReader, folder: PurePosixPath, say: Say, *, lasting: bool) -> None:
        self._path, self._say, self._lines = folder / layout.METRICS, say, Lines(LINE)
        self._log: LogTail | None = LogTail(reader, self._path, say if lasting else None)

    def all(self) -> Iterator[dict[str, Any]]:
        """Returns all entries so far; of a file larger than MOST, those at its end."""
        if self._attempt(lambda log: log.skip_to_end(MOST), otherwise=False):
            self._say(f"{self._path} is larger than {MOST // 2**20} MiB: only its end is read")
        return (values for entries in self.new() for values in entries)

    def new(self) -> Iterator[list[dict[str, Any]]]:
        """Yields the entries added so far, one list per piece. Skips what is not an entry, such as an incomplete line
        left by a full disk or a lost node."""
        pieces = self._log.grown() if self._log else iter(())
        while piece := self._attempt(lambda _: next(pieces, b""), b""):
            lines = b"".join(line + b"\n" for line, _ in self._lines.whole(piece))
            yield run_folder.read_metrics(lines)

    def _attempt(self, step: Callable[[LogTail], Found], otherwise: Found) -> Found:
        """Returns the result of `step`. If the file cannot be read at all, says so once and does not try again."""
        if self._log is None:
            return otherwise
        try:
            return step(self._log)
        except TransportError as error:
            if error.retryable:
                raise
            self._say(str(error))
            self._log = None
            return otherwise
