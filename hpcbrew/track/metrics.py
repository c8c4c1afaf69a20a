"""What the engine measured, as it writes it down: metrics.jsonl, read piece by piece, however long it has grown."""

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from hpcbrew import layout
from hpcbrew.track import run_folder
from hpcbrew.track.lasting import Say
from hpcbrew.track.log_tail import Lines, LogTail
from hpcbrew.transports.base import FileReader

LINE = 2**20
"""Bytes of a line; a longer one is none of the engine's."""

MOST = 2**26
"""Bytes that are looked at where all is wanted at once: of a longer file its end."""


class Metrics:
    """The entries of a run folder's metrics. `say` as LogTail's."""

    def __init__(self, reader: FileReader, folder: PurePosixPath, say: Say | None = None) -> None:
        self.path = folder / layout.METRICS
        self._log, self._lines = LogTail(reader, self.path, say), Lines(LINE)

    def skip(self) -> bool:
        """Leaves out all but the last MOST bytes; whether there were more."""
        return self._log.skip_to_end(MOST)

    def new(self) -> Iterator[list[dict[str, Any]]]:
        """What has been added up to now, a list a piece. What is none of the engine's is left out: a half line, where a
        disk was full or a node was lost."""
        for piece in self._log.grown():
            whole = b"".join(line + b"\n" for line, _ in self._lines.whole(piece))
            yield [values for values in run_folder.read_metrics(whole) if _is_entry(values)]


def _is_entry(values: dict[str, Any]) -> bool:
    phase, iteration, outputs = (values.get(key) for key in ("phase", "iteration", "outputs"))
    if type(iteration) is not int:
        return False
    return isinstance(outputs, dict) if phase == "test" else phase == "train"
