"""One question to a scheduler about several jobs, or about all that it lists."""

from collections.abc import Sequence
from pathlib import PurePosixPath

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
