"""What a job's state is, by everything that is known of it. Its own exit record comes first, the scheduler second."""

import signal
import time
from dataclasses import replace

from engine.job_contract import ExitCode
from hpcbrew.job import JobRecord, JobState, JobStatus
from hpcbrew.schedulers.pbs import QstatReport
from hpcbrew.schedulers.pbs_status import SUSPENDED, failed
from hpcbrew.track.run_folder import ExitRecord

TERMINATED = {128 + signal.SIGTERM, 256 + signal.SIGTERM, 128 + signal.SIGKILL, 256 + signal.SIGKILL}
KINDER = {JobState.CANCELLED, JobState.OUT_OF_WALLTIME, JobState.OUT_OF_MEMORY, JobState.FAILED}

NO_RECORD = (
    "the engine ended with a message, which hpcbrew logs may have, and no exit record could be written: the disk may "
    "be full, or a quota used up"
)

FORGOTTEN = "the scheduler does not know it any more, and it left no exit record"

PATIENCE = 24 * 3600
"""Seconds after which a job that failed by its own record is called so, though the scheduler has never said why."""


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
    """The state to write down. `report` is None where the scheduler did not answer: then only an exit record counts.

    `ids`: of a chain, those of all its links; `asked`: those of them that the scheduler was asked for, all where it is
    None. The exit record has the job's own status; why it came to
    that (walltime, memory, qdel) only the scheduler knows: until it has said so, or for `PATIENCE` seconds, such a job
    is not over. `begun`: its training was seen to have begun. `now`: Unix seconds.
    """
    if exit_record is not None and exit_record.status == 0:
        return JobStatus(JobState.DONE, "", 0)
    ids = ids or ((record.id,) if record.id else ())
    asked = ids if asked is None else asked
    answered = report is not None and bool(asked) and all(i in report.jobs or i in report.unknown for i in asked)
    by_scheduler = _of_links(ids, report) if report else None
    if exit_record is not None:
        if by_scheduler is not None and not by_scheduler.state.final and by_scheduler.state is not JobState.UNKNOWN:
            return JobStatus(JobState.ENDING)
        status = _with_record(record, exit_record, by_scheduler)
        explained = answered and (by_scheduler is None or by_scheduler.state is not JobState.UNKNOWN)
        if explained or not ids or status.state is JobState.CANCELLED:
            return status
        return _open(record, exit_record, status, time.time() if now is None else now)
    if not answered:  # of a chain, a further link may just have been submitted
        waited = record.status.state in (JobState.SUBMITTING, JobState.QUEUED)
        return JobStatus(JobState.RUNNING) if begun and waited and len(ids) == 1 else record.status
    return _forgotten(record) if by_scheduler is None else _cancelled(record, _without_record(by_scheduler))


def _with_record(record: JobRecord, exit_record: ExitRecord, by_scheduler: JobStatus | None) -> JobStatus:
    """What a job that failed by its own record has come to. Its own reason says more than the scheduler's, but for a
    job that was deleted.

    Of a job of an array that it keeps nothing of the scheduler says only that it was deleted.
    """
    explained = by_scheduler if by_scheduler and by_scheduler.state in KINDER else None
    if explained and record.point is not None and explained.exit_status is None:
        explained = explained if exit_record.status in TERMINATED else None
    status = _cancelled(record, explained or failed(exit_record.status))
    known = exit_record.reason and status.state is not JobState.CANCELLED
    return replace(status, reason=exit_record.reason) if known else status


def _without_record(by_scheduler: JobStatus) -> JobStatus:
    """Where the engine refuses, the script writes that down: unless there is no room for it."""
    if by_scheduler.exit_status != ExitCode.WRONG:
        return by_scheduler
    return replace(by_scheduler, reason=f"exit status {ExitCode.WRONG}: {NO_RECORD}")


def _open(record: JobRecord, exit_record: ExitRecord, status: JobStatus, now: float) -> JobStatus:
    """A job that the scheduler has not been heard of since it failed. A node's clock may be wrong: where the job would
    have ended before it was submitted, or tomorrow, it counts from its submission."""
    ended = exit_record.time if record.submitted <= exit_record.time <= now + PATIENCE else record.submitted
    if now - ended > PATIENCE:
        return replace(status, reason=f"{status.reason}; the scheduler did not say more within a day")
    return JobStatus(JobState.ENDING, f"{status.reason}, by its own record; the scheduler has not said why yet")


def _of_links(ids: tuple[str, ...], report: QstatReport) -> JobStatus | None:
    """The link of a chain that tells how the chain stands: one that runs; or the next; or the last that ran."""
    seen = [(n, report.jobs[job_id].status) for n, job_id in enumerate(ids, 1) if job_id in report.jobs]
    live = [link for link in seen if not link[1].state.final]
    ran = [link for link in seen if link[1].state not in (JobState.CANCELLED, JobState.NEVER_RAN)]
    running = [link for link in live if link[1].state in (JobState.RUNNING, JobState.ENDING)]
    chosen = next(iter([*running, *live, *reversed(ran), *reversed(seen)]), None)
    if chosen is None:
        return None
    number, status = chosen
    if len(ids) == 1:
        return status
    return replace(status, reason=": ".join(filter(None, (f"link {number} of {len(ids)} so far", status.reason))))


def _cancelled(record: JobRecord, status: JobStatus) -> JobStatus:
    """A job that died of a signal after `hpcbrew cancel` was cancelled, whatever the scheduler calls it."""
    if record.cancel_asked and status.state is JobState.FAILED and status.exit_status in TERMINATED:
        return JobStatus(JobState.CANCELLED, "by hpcbrew cancel", status.exit_status)
    return status


def _forgotten(record: JobRecord) -> JobStatus:
    """A job that nothing is known of any more: a site that keeps no history forgets what was cancelled at once."""
    if record.cancel_asked:
        return JobStatus(JobState.CANCELLED, "by hpcbrew cancel")
    return JobStatus(JobState.LOST, FORGOTTEN)


def suspended(status: JobStatus) -> bool:
    """Whether a job has begun, and was stopped by others for the time being."""
    return status.state is JobState.HELD and status.reason.endswith(tuple(SUSPENDED.values()))


def after_hold(now: JobStatus, links: int) -> str:
    """What a hold that PBS took has done, in words. `links`: of the job that have not ended: of several, one runs."""
    begun = now.state in (JobState.RUNNING, JobState.ENDING) or suspended(now)
    return "began before it could be held, and goes on" if begun and links == 1 else "held"


def after_release(now: JobStatus) -> str:
    """What a release that PBS took has done: it takes the user's own hold away, and no other."""
    return "released" if now.state is not JobState.HELD else f"is still not let go: {now.reason or 'held'}"
