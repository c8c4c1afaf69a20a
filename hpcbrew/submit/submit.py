"""Carries a plan out. The ledger records the job before the scheduler gets it, so that no job is sent twice or
forgotten."""

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from hpcbrew import full_disk
from hpcbrew.errors import HpcbrewError, LedgerError, SchedulerError, TransportError, Unanswered
from hpcbrew.job import JobPlan, JobRecord, JobState, JobStatus, Upload
from hpcbrew.plan import once
from hpcbrew.schedulers.pbs import Pbs
from hpcbrew.submit import remote_data, remote_engine, room
from hpcbrew.submit.interrupts import Interrupted, put_off
from hpcbrew.track import query
from hpcbrew.track.ledger import Ledger
from hpcbrew.transfer.upload import ship
from hpcbrew.transports.base import OnBytes, Transport

PAUSES = (1, 2, 4, 8)  # seconds between two queries whether an earlier attempt has got its id

NOT_SENT = "Interrupted before the job was handed to the scheduler: nothing was submitted"
WAITING = "Interrupted while qsub is running: waiting for its answer. Press Ctrl-C again to leave without it"
UNSURE = (
    "It is not known yet whether the scheduler has the job: hpcbrew status will show it once it is found. "
    "Do not submit it again before that"
)

INTERRUPTED = "interrupted before it was handed to the scheduler"
CUT = "the cluster stopped answering before it was handed to the scheduler"

Warn = Callable[[str], object]


def submit(
    plan: JobPlan,
    solver: str,
    transport: Transport,
    scheduler: Pbs,
    ledger: Ledger,
    on_bytes: OnBytes,
    warn: Warn = lambda words: None,
) -> JobRecord:
    """Uploads what the cluster lacks, makes the run folder and hands the script to the scheduler. `on_bytes` and
    `warn`: as for `ship`.

    If that certainly fails, nothing is left behind, and an HpcbrewError says why. If it is unknown whether the
    scheduler has the job, the job stays in the ledger as `submitting`, to be found by its token. After Ctrl-C, `warn`
    is called with the case that applies or with the job's id, and Interrupted is raised.
    """
    try:
        root = transport.root(plan.scratch)
        remote_engine.check(plan, root, transport, warn)
        remote_data.check(plan, transport)
        room.check(plan, transport)
    except KeyboardInterrupt:
        warn(NOT_SENT)
        raise Interrupted from None
    folder = root / plan.run_folder
    status = JobStatus(JobState.SUBMITTING, "not yet confirmed by the scheduler")
    record = JobRecord(plan.token, plan.name, plan.address, solver, time.time(), folder, status)
    _prepare(plan, record, root, transport, ledger, on_bytes, warn)
    job_id = None
    try:
        with put_off(lambda: warn(WAITING)) as interrupts:
            job_id = _sent(plan, folder, transport, scheduler, ledger)
        interrupts.obey()
    except KeyboardInterrupt:
        warn(UNSURE if job_id is None else sent(job_id))
        raise Interrupted from None
    return replace(record, id=job_id, status=JobStatus(JobState.QUEUED))


def sent(job_id: str) -> str:
    """Returns the message after Ctrl-C for a job that the scheduler has."""
    return f"Interrupted, but the job was submitted: {job_id}. hpcbrew cancel {job_id} cancels it"


def as_written_down(token: str, ledger: Ledger) -> str:
    """Returns the message after Ctrl-C at any other moment, from what the ledger knows of the job."""
    record = next((r for r in ledger.live() if r.token == token), None)
    if record is None:
        return NOT_SENT
    return UNSURE if record.id is None else sent(record.id)


def _prepare(
    plan: JobPlan,
    record: JobRecord,
    root: PurePosixPath,
    transport: Transport,
    ledger: Ledger,
    on_bytes: OnBytes,
    warn: Warn,
) -> None:
    """Makes the ledger entry, uploads the data and makes the run folder, or leaves nothing behind. The ledger keeps the
    entry of a folder that cannot be removed."""
    folder_begun = False
    try:
        ledger.intend(record)
        ship(plan.data, root, transport, on_bytes, warn, plan.snapshots)
        folder_begun = True  # or perhaps, if the next step is interrupted
        contents = {u.target.relative_to(plan.run_folder): _content(u) for u in plan.definitions}
        transport.make_folder(record.run_folder, contents)
    except KeyboardInterrupt:
        if folder_begun:
            _clear_away(record, transport, ledger, warn, INTERRUPTED)
        else:
            ledger.withdraw(plan.token)
        warn(NOT_SENT)
        raise Interrupted from None
    except TransportError as error:
        if folder_begun and isinstance(error, Unanswered):  # removing it would hang as well
            _leave(record, ledger, warn, CUT)
        elif folder_begun and error.retryable:  # the connection broke, and how far it got is unknown
            _clear_away(record, transport, ledger, warn, CUT)
        else:
            ledger.withdraw(plan.token)
        raise
    except BaseException:
        ledger.withdraw(plan.token)
        raise


def _sent(plan: JobPlan, folder: PurePosixPath, transport: Transport, scheduler: Pbs, ledger: Ledger) -> str:
    """Submits the job, records its id in the ledger and returns it. Raises HpcbrewError if the scheduler certainly did
    not take the job, leaving nothing behind, or if that is unknown, and says so."""
    try:
        job_id = _hand_over(plan.command, folder, transport, scheduler)
    except Unanswered as error:
        raise Unanswered(error.machine, "qsub", error.seconds, UNSURE) from None
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
            f"{error}. The job was submitted as {job_id}, and hpcbrew status will find it. Do not submit it again"
        ) from None
    return job_id


def _clear_away(record: JobRecord, transport: Transport, ledger: Ledger, warn: Warn, reason: str) -> None:
    """Removes the run folder and the ledger entry. If the folder cannot be removed, or on Ctrl-C, the ledger keeps the
    entry, with `reason` the job never ran."""
    with put_off():
        try:
            transport.remove_folder(record.run_folder)
        except (HpcbrewError, KeyboardInterrupt) as error:
            _leave(record, ledger, warn, reason, f": {error}" if str(error) else "")
        else:
            ledger.withdraw(record.token)


def _leave(record: JobRecord, ledger: Ledger, warn: Warn, reason: str, note: str = "") -> None:
    warn(f"{record.run_folder} may be left on {record.cluster}, and can be removed{note}")
    ledger.settle(record.token, JobStatus(JobState.NEVER_RAN, reason))


def _take_back(plan: JobPlan, folder: PurePosixPath, transport: Transport, ledger: Ledger) -> None:
    """Undoes the preparations for a job that the scheduler did not take. A folder that cannot be removed is not
    reported, since the error that led here matters more."""
    with contextlib.suppress(TransportError):
        transport.remove_folder(folder)
    ledger.withdraw(plan.token)


def _hand_over(command: Sequence[str], folder: PurePosixPath, transport: Transport, scheduler: Pbs) -> str:
    """Returns the scheduler's id of the job. Raises SchedulerError if it refused the job, TransportError if that is
    unknown."""
    reason = "the connection broke while the job was submitted"
    for pause in PAUSES:
        answer = transport.run(command, folder, idempotent=True)
        if answer.out.strip() == once.NO_FOLDER:
            raise TransportError(f"{folder}: cannot be written to: {answer.err.strip()}{full_disk.remedy(answer.err)}")
        if answer.out.strip() != once.BEGUN:
            job_id = scheduler.parse_submit(answer)
            if job_id is not None:
                return job_id
            output = " ".join(f"{answer.out} {answer.err}".split())[:200]
            reason = f"qsub ended with status {answer.status} and printed no job id" + (
                f" ({output})" if output else ""
            )
            break
        time.sleep(pause)
    try:
        ids = query.ids_by_folder(transport, scheduler, [folder]).get(folder.name)
    except SchedulerError as error:  # not being able to list its jobs does not mean it refused this one
        raise TransportError(f"{reason}, and {error}", retryable=True) from None
    if ids is None:
        raise TransportError(reason, retryable=True)
    return ids[0]


def _content(upload: Upload) -> bytes:
    assert upload.content is not None, upload.target
    return upload.content
