"""What a scheduler is asked: how some jobs stand, or all that it lists; and whose run folder is whose among those."""

from collections.abc import Sequence
from pathlib import PurePosixPath

from hpcbrew import layout
from hpcbrew.schedulers.pbs import Pbs, QstatReport
from hpcbrew.transports.base import Transport

TOP = PurePosixPath("/")


def poll(transport: Transport, scheduler: Pbs, ids: Sequence[str] = ()) -> QstatReport:
    """Without ids: every job. Raises SchedulerError or TransportError where no answer came.

    A site that keeps no history refuses to be asked for it, and is asked anew.
    """
    answer = transport.run(scheduler.status_command(ids), TOP, idempotent=True)
    if scheduler.keeps_no_history(answer):
        answer = transport.run(scheduler.status_command(ids, history=False), TOP, idempotent=True)
    return scheduler.parse_status(answer)


def ids_by_folder(transport: Transport, scheduler: Pbs) -> dict[str, tuple[str, ...]]:
    """The ids of every job whose scheduler's log lies in a run folder, by the folder's name; in one question.

    So a job is found whose submission broke off: its run folder bears its token.
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
