"""Carries a plan out. The ledger knows the job before the scheduler does: none is sent twice, none forgotten."""

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from hpcbrew import full_disk
from hpcbrew.errors import LedgerError, SchedulerError, TransportError, Unanswered
from hpcbrew.job import JobPlan, JobRecord, JobState, JobStatus, Upload
from hpcbrew.plan import once
from hpcbrew.schedulers.pbs import Pbs
from hpcbrew.track import query
from hpcbrew.track.ledger import Ledger
from hpcbrew.transfer.upload import ship
from hpcbrew.transports.base import OnBytes, Transport

PAUSES = (1, 2, 4, 8)  # seconds between two questions whether an earlier attempt has its id by now

UNSURE = (
    "Nobody can tell yet whether the scheduler has the job: hpcbrew status shows it once it is found. "
    "Do not submit it again before that"
)


def submit(
    plan: JobPlan,
    solver: str,
    transport: Transport,
    scheduler: Pbs,
    ledger: Ledger,
    on_bytes: OnBytes,
    warn: Callable[[str], object] = lambda words: None,
) -> JobRecord:
    """Ships what the cluster lacks, makes the run folder and hands the script to the scheduler. `on_bytes` and `warn`:
    as for `ship`.

    Where that fails for certain, nothing is left behind, and an HpcbrewError says why. Where nobody can tell whether
    the scheduler has the job, it stays in the ledger as `submitting`, to be found by its token.
    """
    root = transport.root(plan.scratch)
    folder = root / plan.run_folder
    status = JobStatus(JobState.SUBMITTING, "not yet confirmed by the scheduler")
    record = JobRecord(plan.token, plan.name, plan.address, solver, time.time(), folder, status)
    ledger.intend(record)
    try:
        ship(plan.data, root, transport, on_bytes, warn)
        transport.make_folder(folder, {u.target.relative_to(plan.run_folder): _content(u) for u in plan.definitions})
    except BaseException:
        ledger.withdraw(plan.token)  # also for Ctrl-C: the scheduler has not been asked yet
        raise
    try:
        job_id = _hand_over(plan.command, folder, transport, scheduler)
    except Unanswered as error:
        raise Unanswered(error.where, "qsub", error.seconds, UNSURE) from None
    except KeyboardInterrupt:
        warn(UNSURE)
        raise
    except TransportError as error:
        if error.retryable:
            raise TransportError(f"{error}. {UNSURE}", retryable=True) from None
        _take_back(plan, folder, transport, ledger)
        raise
    except SchedulerError:
        _take_back(plan, folder, transport, ledger)
        raise
    try:
        ledger.accepted(plan.token, job_id)
    except LedgerError as error:
        raise LedgerError(
            f"{error}. The job was submitted as {job_id}: hpcbrew status will know it too. Do not submit it again"
        ) from None
    return replace(record, id=job_id, status=JobStatus(JobState.QUEUED))


def _take_back(plan: JobPlan, folder: PurePosixPath, transport: Transport, ledger: Ledger) -> None:
    """The scheduler has not got it. Where the folder cannot be taken away, the reason for all this says more."""
    ledger.withdraw(plan.token)
    with contextlib.suppress(TransportError):
        transport.remove_folder(folder)


def _hand_over(command: Sequence[str], folder: PurePosixPath, transport: Transport, scheduler: Pbs) -> str:
    """The scheduler's id of the job. Raises SchedulerError where it refused, TransportError where nobody can tell."""
    for pause in PAUSES:
        answer = transport.run(command, folder, idempotent=True)
        if answer.out.strip() == once.NO_FOLDER:
            raise TransportError(f"{folder}: cannot be written to: {answer.err.strip()}{full_disk.remedy(answer.err)}")
        if answer.out.strip() != once.BEGUN:
            return scheduler.parse_submit(answer)
        time.sleep(pause)
    try:
        found = query.ids_by_folder(transport, scheduler).get(folder.name)
    except SchedulerError as error:  # that it cannot say which jobs it has is no refusal of this one
        raise TransportError(str(error), retryable=True) from None
    if found is None:
        raise TransportError("the connection broke while the job was submitted", retryable=True)
    return found[0]


def _content(upload: Upload) -> bytes:
    assert upload.content is not None, upload.target
    return upload.content
