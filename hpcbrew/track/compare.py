"""Jobs side by side: the points of a sweep, or jobs of any kind, with their settings, figures and losses over time."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.curves import Curve, Panel, draw
from hpcbrew.job import JobRecord, JobState
from hpcbrew.track import refresh, run_folder
from hpcbrew.track.lasting import Say
from hpcbrew.track.ledger import Ledger
from hpcbrew.track.metrics import Metrics
from hpcbrew.track.refresh import TrackedJob


@dataclass(frozen=True)
class Row:
    """One job. `outputs` are of its last test; `losses` are (iteration, loss) of all that was displayed."""

    id: str
    settings: dict[str, str]
    state: JobState
    iteration: int | None
    max_iter: int | None
    loss: float | None
    outputs: dict[str, float]
    losses: list[tuple[int, float]]

    @property
    def label(self) -> str:
        return ", ".join(f"{key} {value}" for key, value in self.settings.items()) or self.id


def rows(records: Sequence[JobRecord], ledger: Ledger, say: Say) -> list[Row]:
    """A row for each job; for a sweep, one for each of its points. `say` is told of metrics that cannot be
    read, or are too long to be read whole. Raises TransportError where a folder is gone."""
    return [row for record in records for row in _rows(record, ledger, say)]


def _rows(record: JobRecord, ledger: Ledger, say: Say) -> Iterator[Row]:
    site = refresh.reach(record.address)
    described = run_folder.describe(record, site.transport)
    points = described.points if record.point is None else ()
    settings = points or (described.settings(record.point),)
    jobs = [ledger.find(f"{record.token}[{n}]") for n in range(1, len(points) + 1)] if points else [record]
    found = refresh.look(site, jobs, ledger)
    reader = site.transport.reader()
    try:
        for tracked, own in zip(found, settings, strict=True):
            metrics = Metrics(reader, tracked.record.run_folder, say, lasting=False)
            yield _row(tracked, metrics.all(), own)
    finally:
        reader.close()


def _row(tracked: TrackedJob, metrics: Iterable[dict[str, Any]], settings: dict[str, str]) -> Row:
    record, going = tracked.record, tracked.progress
    outputs: dict[str, Any] = {}
    losses = []
    for values in metrics:
        if values["phase"] == "test":
            outputs = values["outputs"]
        elif values.get("loss") is not None:
            losses.append((values["iteration"], values["loss"]))
    return Row(
        id=record.id or record.token,
        settings=settings,
        state=record.status.state,
        iteration=going.iteration if going else None,
        max_iter=going.max_iter if going else None,
        loss=going.loss if going else None,
        outputs=outputs,
        losses=losses,
    )


def plot(compared: Sequence[Row], path: Path) -> None:
    """The losses over the iterations, a line a job; the file's suffix says in which form.

    Raises ImportError without matplotlib, OSError and ValueError for a file that cannot be written.
    """
    draw([Panel("Training loss", [Curve(row.label, row.losses) for row in compared])], "Iteration", path)
