"""Judges a job's state by everything that is known about it: its own exit record comes first, the scheduler second."""

import signal
import time
from dataclasses import replace

from engine.job_contract import ExitCode
from hpcbrew.job import JobRecord, JobState, JobStatus
from hpcbrew.schedulers.pbs import QstatReport
from hpcbrew.schedulers.pbs_status import SUSPENDED, failed
from hpcbrew.track.run_folder import ExitRecord

TERMINATED = {128 + signal.SIGTERM, 256 + signal.SIGTERM, 128 + signal.SIGKILL, 256 + signal.SIGKILL}
EXPLAINED = {JobState.CANCELLED, JobState.OUT_OF_WALLTIME, JobState.OUT_OF_MEMORY, JobState.FAILED}

NO_RECORD = (
    "the engine ended with a message, which hpcbrew logs may show, but could not write an exit record: the disk may be "
    "full, or a quota exhausted"
)

BY_USER = "by hpcbrew cancel"

FORGOTTEN = "the scheduler no longer knows it, and it left no exit record"

PATIENCE = 24 * 3600
"""Seconds after which a job that failed by its own record counts as failed even if the scheduler never said why."""


def judge(
    record: JobRecord,
    exit_record: ExitRecord | None,
    report: QstatReport | None,
    ids: tuple[str, ...] = (),
    *,
    asked: tuple[str, ...] | None = None,
    begun: bool = False,
    now: float | None = None,
) -> JobStatus:
    """Returns the state to record. `report` is None if the scheduler did not answer: then only an exit record counts.

    `ids`: for a chain, those of all its links; `asked`: those that the scheduler was asked about (None: all). The exit
    record has the job's own exit status, but only the scheduler knows the cause (walltime, memory, qdel): until it has
    said so, or for `PATIENCE` seconds, such a job does not count as over. `begun`: whether its training was seen to
    have started. `now`: Unix seconds.
    """
    if exit_record is not None and exit_record.status == 0:
        return JobStatus(JobState.DONE, "", 0)
    ids = ids or ((record.id,) if record.id else ())
    asked = ids if asked is None else asked
    answered = report is not None and bool(asked) and all(i in report.jobs or i in report.unknown for i in asked)
    by_scheduler = _link_status(record, ids, report) if report else None
    if exit_record is not None:
        if by_scheduler is not None and not by_scheduler.state.final and by_scheduler.state is not JobState.UNKNOWN:
            return JobStatus(JobState.ENDING)
        status = _with_record(record, exit_record, by_scheduler)
        explained = answered and (by_scheduler is None or by_scheduler.state is not JobState.UNKNOWN)
        if explained or not ids or status.state is JobState.CANCELLED:
            return status
        return _unexplained(record, exit_record, status, time.time() if now is None else now)
    if not answered:  # the next link of a chain may just have been submitted
        waited = record.status.state in (JobState.SUBMITTING, JobState.QUEUED)
        return JobStatus(JobState.RUNNING) if begun and waited and len(ids) == 1 else record.status
    return _forgotten(record) if by_scheduler is None else _cancelled(record, _without_record(by_scheduler))


def _with_record(record: JobRecord, exit_record: ExitRecord, by_scheduler: JobStatus | None) -> JobStatus:
    """Returns the state of a job that failed by its own record. Its own reason is more informative than the
    scheduler's, except for a job that was deleted.

    For a job of an array on which the scheduler has no details, it says only that the job was deleted.
    """
    explained = by_scheduler if by_scheduler and by_scheduler.state in EXPLAINED else None
    if explained and record.point is not None and explained.exit_status is None:
        explained = explained if exit_record.status in TERMINATED else None
    status = _cancelled(record, explained or failed(exit_record.status))
    has_reason = exit_record.reason and status.state is not JobState.CANCELLED
    return replace(status, reason=exit_record.reason) if has_reason else status


def _without_record(by_scheduler: JobStatus) -> JobStatus:
    """If the engine refused the job, the script would have recorded that: says that it probably had no disk space."""
    if by_scheduler.exit_status != ExitCode.WRONG:
        return by_scheduler
    return replace(by_scheduler, reason=f"exit status {ExitCode.WRONG}: {NO_RECORD}")


def _unexplained(record: JobRecord, exit_record: ExitRecord, status: JobStatus, now: float) -> JobStatus:
    """Returns the state of a failed job on which the scheduler has not reported. The node's clock may be wrong: if the
    recorded end is before the submission, or more than a day ahead, the time counts from the submission."""
    end_time = exit_record.time if record.submitted <= exit_record.time <= now + PATIENCE else record.submitted
    if now - end_time > PATIENCE:
        return replace(status, reason=f"{status.reason}; the scheduler did not say more within a day")
    return JobStatus(JobState.ENDING, f"{status.reason}, by its own record; the scheduler has not said why yet")


def _link_status(record: JobRecord, ids: tuple[str, ...], report: QstatReport) -> JobStatus | None:
    """Returns the state of the link that determines the chain's state: the running one, or the next, or the last that
    ran, unless `hpcbrew cancel` deleted the one after it."""
    links = [(n, report.jobs[job_id].status) for n, job_id in enumerate(ids, 1) if job_id in report.jobs]
    live = [link for link in links if not link[1].state.final]
    ran = [link for link in links if link[1].state not in (JobState.CANCELLED, JobState.NEVER_RAN)]
    running = [link for link in live if link[1].state in (JobState.RUNNING, JobState.ENDING)]
    current = next(iter([*running, *live, *reversed(ran), *reversed(links)]), None)
    if current is None:
        return None
    number, status = current
    if record.cancel_asked and not live and ran and ran[-1][0] < len(ids):
        return JobStatus(JobState.CANCELLED, BY_USER)
    if len(ids) == 1:
        return status
    return replace(status, reason=": ".join(filter(None, (f"link {number} of {len(ids)} so far", status.reason))))


def _cancelled(record: JobRecord, status: JobStatus) -> JobStatus:
    """A job that was killed by a signal after `hpcbrew cancel` counts as cancelled, whatever the scheduler says."""
    if record.cancel_asked and status.state is JobState.FAILED and status.exit_status in TERMINATED:
        return JobStatus(JobState.CANCELLED, BY_USER, status.exit_status)
    return status


def _forgotten(record: JobRecord) -> JobStatus:
    """Returns the state of a job about which nothing is known any more: a site without history forgets cancelled jobs
    at once."""
    if record.cancel_asked:
        return JobStatus(JobState.CANCELLED, BY_USER)
    return JobStatus(JobState.LOST, FORGOTTEN)


def suspended(status: JobStatus) -> bool:
    """Whether a job has started and was suspended by the scheduler or an operator."""
    return status.state is JobState.HELD and status.reason.endswith(tuple(SUSPENDED.values()))


def after_hold(now: JobStatus, links: int) -> str:
    """Describes the effect of a hold that PBS accepted. `links`: the number of the job's links that have not ended; if
    there are several, the one that runs is not held."""
    begun = now.state in (JobState.RUNNING, JobState.ENDING) or suspended(now)
    return "started before it could be held, and continues" if begun and links == 1 else "held"


def after_release(now: JobStatus) -> str:
    """Describes the effect of a release that PBS accepted: it removes only the user's own hold."""
    return "released" if now.state is not JobState.HELD else f"is still held: {now.reason or 'held'}"
