"""The course of a training from metrics.jsonl: losses and tests by iteration; for a resumed job, with its past."""

import math
import re
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Any

from engine.schema import Malformed
from engine.tools.training_log import Row, TrainingLog
from hpcbrew import layout
from hpcbrew.track import job_description
from hpcbrew.track.lasting import Say
from hpcbrew.track.metrics import Metrics
from hpcbrew.transports.base import FileReader, Transport

LINKS = 50
"""The most jobs that are followed back, each resumed from the one before."""

_RESUMED = re.compile(
    r"\.\./(?P<folder>[^/.][^/]*(/points/[0-9]{1,9})?)/snapshots/"
    r"[^/]*_iter_(?P<iteration>[0-9]{1,15})\.solverstate(\.h5)?"
)


def course(folder: PurePosixPath, reader: FileReader, say: Say) -> TrainingLog:
    """Returns the course recorded in one run folder's metrics."""
    return of_entries(Metrics(reader, folder, say, lasting=False).all())


def of_entries(entries: Iterable[dict[str, Any]]) -> TrainingLog:
    """Builds the course from the objects of metrics.jsonl, in order. If iterations were repeated, the last ones
    count."""
    log, began = TrainingLog(), None
    for values in entries:
        time = values.get("time")
        began = time if began is None else began
        row = Row(
            iteration=values["iteration"],
            seconds=math.nan if time is None or began is None else time - began,
            rate=_figure(values.get("lr")),
            loss=_figure(values.get("loss")),
            outputs=dict(_outputs(values.get("outputs", {}))),
        )
        if values["phase"] == "train":
            _take(log.train, row)
            if values.get("loss", 0) is None and log.diverged is None:
                log.diverged = row.iteration
        else:
            _take(log.tests.setdefault(values.get("net", 0), []), row)
    return log


def with_past(log: TrainingLog, state: str | None, runs: PurePosixPath, site: Transport, say: Say) -> TrainingLog:
    """Returns `log` preceded by the courses of the jobs it was resumed from. `state`: the state it started from, as
    its description names it; `runs`: the folder that contains the run folders."""
    reader = site.reader()
    try:
        for _ in range(LINKS):
            match = _RESUMED.fullmatch(state or "")
            if match is None:
                break
            folder = runs / match["folder"]
            log = joined(course(folder, reader, say), log, int(match["iteration"]))
            state = _resumed(runs / match["folder"].partition("/")[0], site) if "/" not in match["folder"] else None
    finally:
        reader.close()
    return log


def _resumed(folder: PurePosixPath, site: Transport) -> str | None:
    """Returns the state that the job in that run folder was resumed from, according to its description."""
    try:
        description = job_description.read_description(site.read(folder / layout.JOB, 0, job_description.DESCRIBED + 1))
    except Malformed:
        return None
    return description.snapshot if description else None


def joined(before: TrainingLog, after: TrainingLog, at: int) -> TrainingLog:
    """Joins two logs: `before` up to the snapshot of iteration `at`, and `after` from there, with continuous
    seconds."""
    early_rows = [row for row in before.train if row.iteration < at]
    seconds = max((row.seconds for row in early_rows if math.isfinite(row.seconds)), default=0.0)
    numbers = dict.fromkeys([*before.tests, *after.tests])
    tests = {n: [row for row in before.tests.get(n, []) if row.iteration < at] for n in numbers}
    return TrainingLog(
        [*early_rows, *(_later(row, seconds) for row in after.train)],
        {n: [*rows, *(_later(row, seconds) for row in after.tests.get(n, []))] for n, rows in tests.items()},
        after.diverged,
    )


def _later(row: Row, seconds: float) -> Row:
    return Row(row.iteration, row.seconds + seconds, row.rate, row.loss, row.outputs)


def _take(rows: list[Row], row: Row) -> None:
    while rows and rows[-1].iteration >= row.iteration:
        rows.pop()
    rows.append(row)


def _figure(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else math.nan


def _outputs(outputs: dict[str, Any]) -> Iterable[tuple[str, float]]:
    """Yields outputs by name; the elements of a list are NAME, NAME[1], NAME[2] …"""
    for name, value in outputs.items():
        for n, element in enumerate(value if isinstance(value, list) else [value]):
            yield f"{name}[{n}]" if n else name, _figure(element)
