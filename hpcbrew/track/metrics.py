"""What the engine measured, as it writes it down: metrics.jsonl, read piece by piece, however long it has grown."""

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
"""Bytes of a line; a longer one is none of the engine's."""

MOST = 2**26
"""Bytes that are looked at where all is wanted at once: of a longer file its end."""

Found = TypeVar("Found")


class Metrics:
    """The entries of a run folder's metrics. `say` is told where they are no file, or are too long to be read whole;
    with `lasting`, of each connection that drops too, which is raised otherwise."""

    def __init__(self, reader: FileReader, folder: PurePosixPath, say: Say, *, lasting: bool) -> None:
        self._path, self._say, self._lines = folder / layout.METRICS, say, Lines(LINE)
        self._log: LogTail | None = LogTail(reader, self._path, say if lasting else None)

    def all(self) -> Iterator[dict[str, Any]]:
        """Those that are there by now; of a file that is larger than MOST, what it ends with."""
        if self._told(lambda log: log.skip_to_end(MOST), otherwise=False):
            self._say(f"{self._path} is larger than {MOST // 2**20} MiB: what it ends with is looked at")
        return (values for entries in self.new() for values in entries)

    def new(self) -> Iterator[list[dict[str, Any]]]:
        """What has been added up to now, a list a piece. What is none of the engine's is left out: a half line, where a
        disk was full or a node was lost."""
        pieces = self._log.grown() if self._log else iter(())
        while piece := self._told(lambda _: next(pieces, b""), b""):
            whole = b"".join(line + b"\n" for line, _ in self._lines.whole(piece))
            yield run_folder.read_metrics(whole)

    def _told(self, step: Callable[[LogTail], Found], otherwise: Found) -> Found:
        """What `step` gives; what is no file is said once, and not looked at again."""
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
