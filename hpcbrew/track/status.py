"""What a job's state is, by everything that is known of it. Its own exit record comes first, the scheduler second."""

import signal
from dataclasses import replace

from hpcbrew.job import JobRecord, JobState, Standing
from hpcbrew.schedulers.pbs import Polled
from hpcbrew.schedulers.pbs_status import failed
from hpcbrew.track.run_folder import ExitRecord

TERMINATED = {128 + signal.SIGTERM, 256 + signal.SIGTERM, 128 + signal.SIGKILL, 256 + signal.SIGKILL}
KINDER = {JobState.CANCELLED, JobState.OUT_OF_WALLTIME, JobState.OUT_OF_MEMORY, JobState.FAILED}


def judge(
    record: JobRecord, exit_record: ExitRecord | None, polled: Polled | None, ids: tuple[str, ...] = ()
) -> Standing:
    """The state to write down. `polled` is None where the scheduler did not answer: then only an exit record counts.

    `ids`: of a chain, those of all its links. The exit record has the job's own status; why it came to that (walltime,
    memory, qdel) only the scheduler knows.
    """
    if exit_record is not None and exit_record.status == 0:
        return Standing(JobState.DONE, "", 0)
    ids = ids or ((record.id,) if record.id else ())
    by_scheduler = _of_links(ids, polled) if polled else None
    if exit_record is not None:
        if by_scheduler is not None and not by_scheduler.state.final:
            return Standing(JobState.ENDING)
        explained = by_scheduler is not None and by_scheduler.state in KINDER
        standing = _cancelled(record, by_scheduler if by_scheduler and explained else failed(exit_record.status))
        known = exit_record.reason and standing.state is not JobState.CANCELLED
        return replace(standing, reason=exit_record.reason) if known else standing
    if polled is None or not ids or not {*polled.jobs, *polled.unknown}.issuperset(ids):
        return record.standing  # not all was answered for; of a chain, a further link may just have been submitted
    if by_scheduler is not None:
        return _cancelled(record, by_scheduler)
    return _forgotten(record)


def _of_links(ids: tuple[str, ...], polled: Polled) -> Standing | None:
    """The link of a chain that tells how the chain stands: one that runs; or the next; or the last that ran."""
    seen = [(n, polled.jobs[job_id].standing) for n, job_id in enumerate(ids, 1) if job_id in polled.jobs]
    live = [link for link in seen if not link[1].state.final]
    ran = [link for link in seen if link[1].state not in (JobState.CANCELLED, JobState.NEVER_RAN)]
    running = [link for link in live if link[1].state in (JobState.RUNNING, JobState.ENDING)]
    chosen = next(iter([*running, *live, *reversed(ran), *reversed(seen)]), None)
    if chosen is None:
        return None
    number, standing = chosen
    if len(ids) == 1:
        return standing
    return replace(standing, reason=": ".join(filter(None, (f"link {number} of {len(ids)}", standing.reason))))


def _cancelled(record: JobRecord, standing: Standing) -> Standing:
    """A job that died of a signal after `hpcbrew cancel` was cancelled, whatever the scheduler calls it."""
    if record.cancel_asked and standing.state is JobState.FAILED and standing.exit_status in TERMINATED:
        return Standing(JobState.CANCELLED, "by hpcbrew cancel", standing.exit_status)
    return standing


def _forgotten(record: JobRecord) -> Standing:
    """A job that nothing is known of any more: a site that keeps no history forgets what was cancelled at once."""
    if record.cancel_asked:
        return Standing(JobState.CANCELLED, "by hpcbrew cancel")
    return Standing(JobState.LOST, "the scheduler does not know it any more, and it left no exit record")
