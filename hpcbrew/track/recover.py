"""Finds jobs whose submission broke off: by their run folder, which bears their token, in the scheduler's own list."""

import time
from pathlib import PurePosixPath

from hpcbrew import layout
from hpcbrew.job import JobRecord, JobState, JobStatus
from hpcbrew.schedulers.pbs import Pbs
from hpcbrew.track.query import poll
from hpcbrew.transports.base import Transport

GRACE = 15 * 60
"""Seconds after which a job that the scheduler does not list was never given to it."""

NEVER_ARRIVED = JobStatus(
    JobState.LOST, "its submission was never confirmed, and the scheduler does not list it: submit it again"
)


def overdue(record: JobRecord) -> bool:
    """Whether a job that nobody has confirmed was sent so long ago that it would be listed by now."""
    return record.id is None and time.time() - record.submitted > GRACE


def ids_by_folder(transport: Transport, scheduler: Pbs) -> dict[str, tuple[str, ...]]:
    """The ids of every job whose scheduler's log lies in a run folder, by the folder's name; in one question.

    Raises SchedulerError or TransportError where no answer came.
    """
    found: dict[str, tuple[str, ...]] = {}
    for job_id, job in poll(transport, scheduler).jobs.items():
        output = PurePosixPath(job.get("Output_Path"))
        if output.name == layout.SCHEDULER_LOG:
            of_array = output.parent.parent.name == layout.POINTS
            folder = output.parents[2 if of_array else 0].name
            found[folder] = (*found.get(folder, ()), job_id)
    return found
