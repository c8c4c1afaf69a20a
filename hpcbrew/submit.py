"""Carries a plan out. The ledger knows the job before the scheduler does: none is sent twice, none forgotten."""

import time
from dataclasses import replace

from hpcbrew.answer import Answer
from hpcbrew.errors import HpcbrewError, RequestError, SchedulerError, TransportError
from hpcbrew.job import JobPlan, JobRecord, JobState, Standing, Upload
from hpcbrew.ledger import Ledger
from hpcbrew.schedulers.pbs import Pbs
from hpcbrew.transports import Transport


def submit(plan: JobPlan, solver: str, transport: Transport, scheduler: Pbs, ledger: Ledger) -> JobRecord:
    """Makes the run folder and hands the script to the scheduler.

    Raises RequestError where the plan lacks something. Where it fails for certain, nothing is left behind, and
    SchedulerError or TransportError says why. Where nobody can tell whether the scheduler has the job, it stays in the
    ledger as `submitting`, to be found by its token.
    """
    if plan.lacks:
        raise RequestError(plan.lacks)
    folder = transport.root(plan.scratch) / plan.run_folder
    standing = Standing(JobState.SUBMITTING, "not yet confirmed by the scheduler")
    record = JobRecord(plan.token, plan.name, plan.address, solver, time.time(), folder, standing)
    ledger.intend(record)
    try:
        transport.make_folder(folder, {u.target.relative_to(plan.run_folder): _content(u) for u in plan.definitions})
        for command in plan.commands[:-1]:
            _succeed(transport.run(command, folder), command)
        answer = transport.run(plan.commands[-1], folder)
        job_id = scheduler.parse_submit(answer)
    except HpcbrewError as error:
        if not (isinstance(error, TransportError) and error.retryable):
            transport.remove_folder(folder)
            ledger.withdraw(plan.token)
        raise
    ledger.accepted(plan.token, job_id)
    return replace(record, id=job_id, standing=Standing(JobState.QUEUED))


def _content(upload: Upload) -> bytes:
    assert upload.content is not None, upload.target
    return upload.content


def _succeed(answer: Answer, command: tuple[str, ...]) -> None:
    if answer.status != 0:
        raise SchedulerError(f"{command[0]} failed: {answer.words}")
