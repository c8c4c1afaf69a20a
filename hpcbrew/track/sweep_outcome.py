"""The outcome of a sweep so far, from the records of its points: an array has none of its own."""

import contextlib
from collections.abc import Sequence

from engine.job_contract import lower_is_better
from engine.schema import Malformed
from hpcbrew import layout
from hpcbrew.job import JobRecord
from hpcbrew.track import job_description, run_folder
from hpcbrew.track.outcome import Outcome
from hpcbrew.track.run_folder import Best, FolderRecords, Progress
from hpcbrew.transports.base import Contents, Transport

MOST = 500
"""The most points, of all sweeps, that one command reads."""


def outcomes(transport: Transport, sweeps: Sequence[JobRecord]) -> list[Outcome]:
    """Returns the outcome of each sweep, in two round trips for all; an empty one for a sweep whose points are unknown
    or too many.

    Raises TransportError if the cluster does not answer.
    """
    descriptions = transport.read_all([record.run_folder / layout.JOB for record in sweeps])
    counts = [_count(data) for data in descriptions]
    counts = [count if sum(counts[: n + 1]) <= MOST else 0 for n, count in enumerate(counts)]
    folders = [r.run_folder / layout.point(i + 1) for r, n in zip(sweeps, counts, strict=True) for i in range(n)]
    names = (layout.EXIT, layout.PROGRESS)
    files = iter(transport.read_all([folder / name for folder in folders for name in names]) if folders else [])
    return [_together([run_folder.read_records(next(files), next(files)) for _ in range(count)]) for count in counts]


def _count(data: Contents) -> int:
    with contextlib.suppress(Malformed):
        description = job_description.read_description(run_folder.held(data))
        return len(description.points) if description else 0
    return 0


def _together(points: Sequence[FolderRecords]) -> Outcome:
    """Combines the points: the sum of their iterations, the best of their losses and tests, the time from the first
    start to the last end. Points that have not started are assumed to be as long as the longest of the others."""
    progress_records = [point.progress for point in points if point.progress]
    ends = [point.exit.time for point in points if point.exit]
    if not progress_records:
        return Outcome(ended=max(ends, default=None))
    longest = max(progress.max_iter for progress in progress_records)
    losses = [progress.loss for progress in progress_records if progress.loss is not None]
    best: dict[str, Best] = {}
    for name, value in ((name, value) for progress in progress_records for name, value in progress.best.items()):
        best_so_far = best.get(name)
        if best_so_far is None or (
            value.value < best_so_far.value if lower_is_better(name) else value.value > best_so_far.value
        ):
            best[name] = value
    total = Progress(
        iteration=sum(progress.iteration for progress in progress_records),
        max_iter=sum(progress.max_iter for progress in progress_records)
        + longest * (len(points) - len(progress_records)),
        loss=min(losses, default=None),
        best=best,
        began=min((progress.began for progress in progress_records if progress.began is not None), default=None),
    )
    return Outcome(total, max(ends, default=None))
