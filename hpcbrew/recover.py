"""Finds jobs whose submission broke off: by their run folder, which bears their token, in the scheduler's own list."""

from pathlib import PurePosixPath

from hpcbrew import runfolder
from hpcbrew.schedulers.pbs import Pbs
from hpcbrew.transports import Transport

GRACE = 15 * 60
"""Seconds after which a job that the scheduler does not list was never given to it."""


def ids_by_folder(transport: Transport, scheduler: Pbs) -> dict[str, tuple[str, ...]]:
    """The ids of every job whose scheduler's log lies in a run folder, by the folder's name; in one question.

    Raises SchedulerError or TransportError where no answer came.
    """
    answer = transport.run(scheduler.status_command([]), PurePosixPath("/"), again=True)
    found: dict[str, tuple[str, ...]] = {}
    for job_id, job in scheduler.parse_status(answer).jobs.items():
        output = PurePosixPath(job.get("Output_Path"))
        if output.name == runfolder.SCHEDULER_LOG:
            found[output.parent.name] = (*found.get(output.parent.name, ()), job_id)
    return found
