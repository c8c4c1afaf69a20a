"""Carries a plan out. The ledger knows the job before the scheduler does: none is sent twice, none forgotten."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import PurePosixPath

from hpcbrew import runfolder
from hpcbrew.answer import Answer
from hpcbrew.errors import SchedulerError, TransportError
from hpcbrew.job import JobPlan, JobRecord, JobState, Standing, Upload
from hpcbrew.ledger import Ledger
from hpcbrew.schedulers.pbs import Pbs
from hpcbrew.ship import Progress, ship
from hpcbrew.transports import Transport

PAUSES = (1, 2, 4, 8)  # seconds between two attempts


def submit(
    plan: JobPlan, solver: str, transport: Transport, scheduler: Pbs, ledger: Ledger, progress: Progress
) -> JobRecord:
    """Ships what the cluster lacks, makes the run folder and hands the script to the scheduler.

    Where that fails for certain, nothing is left behind, and SchedulerError or TransportError says why. Where nobody
    can tell whether the scheduler has the job, it stays in the ledger as `submitting`, to be found by its token.
    """
    root = transport.root(plan.scratch)
    folder = root / plan.run_folder
    standing = Standing(JobState.SUBMITTING, "not yet confirmed by the scheduler")
    record = JobRecord(plan.token, plan.name, plan.address, solver, time.time(), folder, standing)
    ledger.intend(record)
    try:
        _retry(lambda: ship(plan.data, root, transport, progress))
        transport.make_folder(folder, {u.target.relative_to(plan.run_folder): _content(u) for u in plan.definitions})
    except BaseException:
        ledger.withdraw(plan.token)  # also for Ctrl-C: the scheduler has not been asked yet
        raise
    try:
        job_id = _id(transport.run(plan.command, folder), scheduler, transport, folder)
    except TransportError as error:
        if not error.retryable:
            ledger.withdraw(plan.token)
            raise
        job_id = _given(transport, folder, error)
    except SchedulerError:
        ledger.withdraw(plan.token)
        raise
    ledger.accepted(plan.token, job_id)
    return replace(record, id=job_id, standing=Standing(JobState.QUEUED))


def _retry(step: Callable[[], None]) -> None:
    """A step that can be done again after a dropped connection is, with longer and longer pauses."""
    for pause in PAUSES:
        try:
            step()
            return
        except TransportError as error:
            if not error.retryable:
                raise
            time.sleep(pause)
    step()


def _id(answer: Answer, scheduler: Pbs, transport: Transport, folder: PurePosixPath) -> str:
    """The scheduler's id of the job. Where it refused, the run folder goes again."""
    try:
        return scheduler.parse_submit(answer)
    except SchedulerError:
        transport.remove_folder(folder)
        raise


def _given(transport: Transport, folder: PurePosixPath, error: TransportError) -> str:
    """The connection broke while the scheduler was asked. Its answer, if it gave one, lies in the run folder."""
    data = transport.read(folder / runfolder.ID)
    if data and data.strip():
        return data.decode().split()[-1]
    raise TransportError(
        f"{error}. Nobody can tell yet whether the scheduler has the job: hpcbrew status shows it once it is found. "
        "Do not submit it again before that",
        retryable=True,
    ) from None


def _content(upload: Upload) -> bytes:
    assert upload.content is not None, upload.target
    return upload.content
