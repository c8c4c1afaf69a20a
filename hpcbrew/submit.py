"""Carries a plan out. The ledger knows the job before the scheduler does: none is sent twice, none forgotten."""

import time
from dataclasses import replace
from pathlib import PurePosixPath

from hpcbrew.answer import Answer
from hpcbrew.errors import HpcbrewError, SchedulerError, TransportError
from hpcbrew.job import JobPlan, JobRecord, JobState, Standing, Upload
from hpcbrew.ledger import Ledger
from hpcbrew.schedulers.pbs import Pbs
from hpcbrew.transports import Transport


def submit(plan: JobPlan, solver: str, transport: Transport, scheduler: Pbs, ledger: Ledger) -> JobRecord:
    """Makes the run folder and hands the script to the scheduler.

    Where that fails for certain, nothing is left behind, and SchedulerError or TransportError says why. Where nobody
    can tell whether the scheduler has the job, it stays in the ledger as `submitting`, to be found by its token.
    """
    folder = transport.root(plan.scratch) / plan.run_folder
    standing = Standing(JobState.SUBMITTING, "not yet confirmed by the scheduler")
    record = JobRecord(plan.token, plan.name, plan.address, solver, time.time(), folder, standing)
    ledger.intend(record)
    try:
        _make(plan, transport, folder)
        answer = transport.run(plan.commands[-1], folder)
        job_id = _id(answer, scheduler, transport, folder)
    except HpcbrewError as error:
        if not (isinstance(error, TransportError) and error.retryable):
            ledger.withdraw(plan.token)
        raise
    ledger.accepted(plan.token, job_id)
    return replace(record, id=job_id, standing=Standing(JobState.QUEUED))


def _make(plan: JobPlan, transport: Transport, folder: PurePosixPath) -> None:
    """The run folder, with all that belongs in it before the job starts."""
    transport.make_folder(folder, {u.target.relative_to(plan.run_folder): _content(u) for u in plan.definitions})
    for command in plan.commands[:-1]:
        answer = transport.run(command, folder)
        if answer.status != 0:
            transport.remove_folder(folder)
            raise SchedulerError(f"{folder}: {command[0]} failed: {answer.words}")


def _id(answer: Answer, scheduler: Pbs, transport: Transport, folder: PurePosixPath) -> str:
    """The scheduler's id of the job. Where it refused, the run folder goes again."""
    try:
        return scheduler.parse_submit(answer)
    except SchedulerError:
        transport.remove_folder(folder)
        raise


def _content(upload: Upload) -> bytes:
    assert upload.content is not None, upload.target
    return upload.content
