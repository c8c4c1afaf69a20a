"""Finds out how a job ended if neither its records nor the scheduler say enough: its run folder is searched once, when
the job has ended."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from engine.schema import Malformed
from hpcbrew import layout
from hpcbrew.errors import TransportError
from hpcbrew.job import JobRecord, JobState, JobStatus
from hpcbrew.schedulers.pbs_status import LEFT_IN_TIME, killed_by_pbs
from hpcbrew.track import query, run_folder
from hpcbrew.track.log_tail import last_bytes
from hpcbrew.track.run_folder import ExitRecord
from hpcbrew.track.status import FORGOTTEN, TERMINATED
from hpcbrew.transports.base import Contents, Transport

NO_SNAPSHOT = "stopped in time, but without a snapshot to continue from: submit it again, with a longer walltime"

NEVER_BEGAN = (
    "the scheduler no longer knows it, and it never started: it was deleted, or its queue routes to others, none of "
    "which accepts such a job: request less, or choose another with --queue"
)

FOLDERS = 500
"""The most folders that one command searches."""

WORDS_AT_END = 4096
"""Bytes at the end of the scheduler's log that are searched for its reason."""


def doubtful(status: JobStatus) -> bool:
    """Whether the run folder may tell more about this end."""
    return LEFT_IN_TIME in status.reason or status.reason == FORGOTTEN or _killed_by_signal(status)


def resolved(transport: Transport, records: Sequence[JobRecord]) -> list[JobStatus]:
    """Returns the true states of jobs whose ends are `doubtful`. Raises TransportError if the cluster does not
    answer."""
    in_time = [r for r in records if LEFT_IN_TIME in r.status.reason]
    snapshots = _files_named(transport, [r.run_folder / layout.SNAPSHOTS for r in in_time], "*.solverstate*")
    have_snapshots = {path.parent for path in snapshots}
    single = [r.run_folder for r in records if r.status.reason == FORGOTTEN and not r.is_array]
    files = _files_named(transport, single, layout.SOLVER, layout.LOG)
    # A folder that was removed proves nothing, hence the check for the solver.
    never_begun = {f for f in single if f / layout.SOLVER in files and f / layout.LOG not in files}
    statuses = []
    for record in records:
        status, folder = record.status, record.run_folder
        if LEFT_IN_TIME in status.reason:
            lacks = folder / layout.SNAPSHOTS not in have_snapshots
            status = replace(status, reason=status.reason.replace(LEFT_IN_TIME, NO_SNAPSHOT)) if lacks else status
        elif status.reason == FORGOTTEN and record.is_array:
            status = _array_status(transport, record)
        elif folder in never_begun:
            status = JobStatus(JobState.NEVER_RAN, NEVER_BEGAN)
        else:
            output = last_bytes(transport, folder / layout.SCHEDULER_LOG, WORDS_AT_END).decode(errors="replace")
            status = killed_by_pbs(output, status.exit_status) or status
        statuses.append(status)
    return statuses


def _killed_by_signal(status: JobStatus) -> bool:
    return status.state is JobState.FAILED and status.exit_status in TERMINATED


def _array_status(transport: Transport, record: JobRecord) -> JobStatus:
    """Returns the state of an array that the scheduler has forgotten, from the exit records of its jobs."""
    try:
        number = len(run_folder.describe(record, transport).points)
    except TransportError as error:
        if error.retryable:
            raise
        return record.status
    folders = [record.run_folder / layout.point(n) for n in range(1, number + 1)]
    exit_records = [e for e in map(_exit, transport.read_all([f / layout.EXIT for f in folders])) if e is not None]
    if not exit_records and not _files_named(transport, folders, layout.LOG):
        return JobStatus(JobState.NEVER_RAN, NEVER_BEGAN)
    if len(exit_records) < number:
        missing = number - len(exit_records)
        return replace(record.status, reason=f"{missing} of its {number} jobs left no exit record; {FORGOTTEN}")
    failures = sum(e.status != 0 for e in exit_records)
    return JobStatus(JobState.FAILED, f"{failures} of its {number} jobs failed", 1) if failures else DONE


DONE = JobStatus(JobState.DONE, "", 0)


def _exit(data: Contents) -> ExitRecord | None:
    try:
        return run_folder.read_exit(run_folder.held(data))
    except Malformed:
        return None


def _files_named(transport: Transport, folders: Sequence[PurePosixPath], *names: str) -> set[PurePosixPath]:
    """Returns the files in these folders whose names match one of `names`, which are patterns for `find`.

    A folder that does not exist makes `find` exit with status 1.
    """
    places = [str(folder) for folder in folders]
    name_tests = [word for name in names for word in ("-o", "-name", name)][1:]
    expression = ("-maxdepth", "1", "(", *name_tests, ")", "-print0")
    files: set[PurePosixPath] = set()
    for start in range(0, len(places), FOLDERS):
        command = ("find", *places[start : start + FOLDERS], *expression)
        answer = transport.run(command, query.TOP, idempotent=True)
        if answer.status not in (0, 1):
            raise TransportError(f"run folders cannot be searched: {answer.words}")
        files |= {PurePosixPath(path) for path in answer.out.split("\0") if path}
    return files
