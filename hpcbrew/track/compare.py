"""Compares jobs side by side: the points of a sweep, or any jobs, with their settings, figures and curves."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engine import curves
from engine.errors import EngineError
from engine.job_contract import lower_is_better
from engine.printable import printable
from engine.proto import caffe_pb2 as pb
from engine.proto import text
from engine.schema import Malformed
from engine.tools import log_panels
from engine.tools.log_panels import View
from engine.tools.training_log import TrainingLog
from hpcbrew import layout
from hpcbrew.errors import TransportError
from hpcbrew.job import JobRecord, JobState
from hpcbrew.track import course, refresh, run_folder
from hpcbrew.track.lasting import Say
from hpcbrew.track.ledger import Ledger
from hpcbrew.track.refresh import Site, TrackedJob
from hpcbrew.track.run_folder import Best
from hpcbrew.transports.base import Contents

ASIDE = {
    "snapshot_prefix", "snapshot", "snapshot_format", "snapshot_after_train", "solver_mode", "device_id", "debug_info",
    "display", "test_interval", "test_iter", "test_initialization", "test_compute_loss", "weights",
}  # fmt: skip
"""Solver fields that do not affect what is learned."""


@dataclass(frozen=True)
class Row:
    """One job. `settings`: what was set on the command line, and what differs between the solvers of the compared jobs.
    `outputs`: those of its last test, at iteration `tested`; `best`: the best value of each. `log`: its whole course.
    """

    id: str
    name: str
    settings: dict[str, str]
    state: JobState
    iteration: int | None
    max_iter: int | None
    loss: float | None
    outputs: dict[str, float]
    tested: int | None
    best: dict[str, Best]
    log: TrainingLog

    def as_json(self) -> dict[str, object]:
        """Returns the object that `compare --json` prints; losses are (iteration, loss) for all recorded values."""
        figures = {n: v for n, v in self.__dict__.items() if n != "log"}
        losses = [(row.iteration, row.loss) for row in self.log.train if math.isfinite(row.loss)]
        best = {name: best.__dict__ for name, best in self.best.items()}
        return {**figures, "best": best, "diverged": self.log.diverged, "losses": losses}


def rows(records: Sequence[JobRecord], ledger: Ledger, say: Say) -> list[Row]:
    """Returns a row for each job; for a sweep, one for each of its points. Calls `say` about metrics that cannot be
    read or are too long to be read whole. Raises TransportError if a run folder is gone."""
    pairs = [row for record in records for row in _rows(record, ledger, say)]
    solvers = [solver for _, solver in pairs]
    differing_keys = {
        key
        for key in dict.fromkeys(key for solver in solvers for key in solver)
        if len({solver.get(key) for solver in solvers}) > 1
    }
    setting_sets = [set(row.settings.items()) for row, _ in pairs]
    common_settings = set.intersection(*setting_sets) if len(setting_sets) > 1 else set()
    return [
        replace(
            row,
            settings={k: v for k, v in solver.items() if k in differing_keys}
            | {k: v for k, v in row.settings.items() if (k, v) not in common_settings},
        )
        for row, solver in pairs
    ]


def labels(compared: Sequence[Row]) -> list[str]:
    """Returns labels for legends, which tell the rows apart: name, settings, and the id if another row has the same."""
    names = [row.name for row in compared]
    own_settings = [_own_settings(row, compared) for row in compared]
    plain_labels = [_label(row.name, settings) for row, settings in zip(compared, own_settings, strict=True)]
    return [
        label
        if plain_labels.count(label) == 1 and (settings or names.count(row.name) == 1)
        else _label(f"{row.name} {row.id}", settings)
        for label, settings, row in zip(plain_labels, own_settings, compared, strict=True)
    ]


def _own_settings(row: Row, compared: Sequence[Row]) -> str:
    """Returns a row's settings except those that all rows share, which would not tell them apart."""
    common_keys = {
        key for key, value in row.settings.items() if all(other.settings.get(key) == value for other in compared)
    }
    return ", ".join(
        f"{key} {value}" for key, value in row.settings.items() if len(compared) == 1 or key not in common_keys
    )


def _label(name: str, settings: str) -> str:
    return f"{name}, {settings}" if settings else name


def _rows(record: JobRecord, ledger: Ledger, say: Say) -> Iterator[tuple[Row, dict[str, str]]]:
    """Yields each row with the fields set in its solver."""
    site = refresh.reach(record.address)
    description = run_folder.describe(record, site.transport)
    points = description.points if record.point is None else ()
    settings = points or (description.settings(record.point),)
    jobs = [ledger.find(f"{record.token}[{n}]") for n in range(1, len(points) + 1)] if points else [record]
    tracked_jobs = refresh.look(site, jobs, ledger)
    solvers = site.transport.read_all([job.run_folder / layout.SOLVER for job in jobs])
    reader = site.transport.reader()
    try:
        for tracked, own_settings, solver in zip(tracked_jobs, settings, solvers, strict=True):
            log = course.course(tracked.record.run_folder, reader, say)
            yield _row(tracked, _with_past(log, record, description.snapshot, site, say), own_settings), _fields(solver)
    finally:
        reader.close()


def _with_past(log: TrainingLog, record: JobRecord, snapshot: str | None, site: Site, say: Say) -> TrainingLog:
    """Prepends the past of a resumed job; if that is gone, says so."""
    try:
        return course.with_past(log, snapshot, run_folder.described_in(record).parent, site.transport, say)
    except TransportError as error:
        say(f"the job that {record.name} was resumed from cannot be read: {error}")
        return log


def _fields(solver: Contents) -> dict[str, str]:
    """Returns the fields set in a solver, except inline nets and states; none if the text is not a solver."""
    try:
        solver_text = (run_folder.held(solver) or b"").decode()
        message = text.parse(solver_text, pb.SolverParameter, layout.SOLVER)
    except (EngineError, Malformed, ValueError):
        return {}
    return {
        field.name: printable(_value(value), one_line=True)
        for field, value in message.ListFields()
        if field.message_type is None and field.name not in ASIDE
    }


def _value(value: Any) -> str:
    if isinstance(value, str | int):
        return str(value)
    return f"{value:.6g}" if isinstance(value, float) else ",".join(map(_value, value))


def _row(tracked: TrackedJob, log: TrainingLog, settings: dict[str, str]) -> Row:
    record, progress = tracked.record, tracked.progress
    last_rows = {n: tests[-1] for n, tests in log.tests.items() if tests}
    tested = max((row.iteration for row in last_rows.values()), default=None)
    return Row(
        id=record.id or record.token,
        name=record.name,
        settings=settings,
        state=record.status.state,
        iteration=progress.iteration if progress else None,
        max_iter=progress.max_iter if progress else None,
        loss=progress.loss if progress else None,
        outputs={
            _of_net(name, n): y for n, row in last_rows.items() for name, y in row.outputs.items() if math.isfinite(y)
        },
        tested=tested,
        best=_best(log) | (progress.best if progress else {}),
        log=log,
    )


def _of_net(name: str, number: int) -> str:
    """Returns the name of an output of test net `number`, as in the engine's progress.json."""
    return f"{name} #{number}" if number else name


def _best(log: TrainingLog) -> dict[str, Best]:
    """Returns the best value of each test output: the lowest of losses and errors, the highest of others."""
    best: dict[str, Best] = {}
    for number, tests in log.tests.items():
        for row in tests:
            for name, value in row.outputs.items():
                output, sign = _of_net(name, number), -1 if lower_is_better(name) else 1
                if math.isfinite(value) and (output not in best or sign * value > sign * best[output].value):
                    best[output] = Best(value, row.iteration)
    return best


def logs(compared: Sequence[Row]) -> dict[str, TrainingLog]:
    """Returns the rows' courses by label; a single row has the label ""."""
    if len(compared) == 1:
        return {"": compared[0].log}
    return dict(zip(labels(compared), (row.log for row in compared), strict=True))


def draw(logs_by_label: dict[str, TrainingLog], view: View, path: Path, *, log: bool = False) -> None:
    """Draws the curves into a file; its suffix determines the format.

    Raises ImportError without matplotlib, OSError and ValueError for a file that cannot be written.
    """
    curves.draw(list(log_panels.panels(logs_by_label, view)), view.title, path, log=log)
