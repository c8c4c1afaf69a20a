"""Carries a plan out. The ledger knows the job before the scheduler does: none is sent twice, none forgotten."""

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

PAUSES = (1, 2, 4, 8)  # seconds between two questions whether an earlier attempt has its id by now

NOT_SENT = "Interrupted before the job was handed to the scheduler: nothing was submitted"
WAITING = "Interrupted while qsub is at work: waiting for its answer. Ctrl-C once more leaves without it"
UNSURE = (
    "Nobody can tell yet whether the scheduler has the job: hpcbrew status shows it once it is found. "
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
    """Ships what the cluster lacks, makes the run folder and hands the script to the scheduler. `on_bytes` and `warn`:
    as for `ship`.

    Where that fails for certain, nothing is left behind, and an HpcbrewError says why. Where nobody can tell whether
    the scheduler has the job, it stays in the ledger as `submitting`, to be found by its token. After Ctrl-C `warn` is
    told which of these it is, or the job's id, and Interrupted is raised.
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
    """What is said after Ctrl-C of a job that the scheduler has."""
    return f"Interrupted, and the job was submitted: {job_id}. hpcbrew cancel {job_id} ends it"


def as_written_down(token: str, ledger: Ledger) -> str:
    """What is said after Ctrl-C at another moment, by what the ledger has of the job."""
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
    """Ledger entry, data and run folder: all of it, or nothing is left; a folder that cannot be taken away stays in the
    ledger."""
    made = False
    try:
        ledger.intend(record)
        ship(plan.data, root, transport, on_bytes, warn, plan.snapshots)
        made = True  # or may be, wherever the next step breaks off
        contents = {u.target.relative_to(plan.run_folder): _content(u) for u in plan.definitions}
        transport.make_folder(record.run_folder, contents)
    except KeyboardInterrupt:
        if made:
            _clear_away(record, transport, ledger, warn, INTERRUPTED)
        else:
            ledger.withdraw(plan.token)
        warn(NOT_SENT)
        raise Interrupted from None
    except TransportError as error:
        if made and isinstance(error, Unanswered):  # what hangs there would keep its removal waiting too
            _leave(record, ledger, warn, CUT)
        elif made and error.retryable:  # it broke off, and nobody can tell how far it came
            _clear_away(record, transport, ledger, warn, CUT)
        else:
            ledger.withdraw(plan.token)
        raise
    except BaseException:
        ledger.withdraw(plan.token)
        raise


def _sent(plan: JobPlan, folder: PurePosixPath, transport: Transport, scheduler: Pbs, ledger: Ledger) -> str:
    """The id that the scheduler has given the job, written down. Raises HpcbrewError where it has none for certain, and
    then nothing is left; or where nobody can tell, and says so."""
    try:
        job_id = _hand_over(plan.command, folder, transport, scheduler)
    except Unanswered as error:
        raise Unanswered(error.where, "qsub", error.seconds, UNSURE) from None
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
    return job_id


def _clear_away(record: JobRecord, transport: Transport, ledger: Ledger, warn: Warn, why: str) -> None:
    """No folder is left of which the ledger does not know; `why` the job never ran is written down with one that is.
    Ctrl-C leaves it."""
    with put_off():
        try:
            transport.remove_folder(record.run_folder)
        except (HpcbrewError, KeyboardInterrupt) as error:
            _leave(record, ledger, warn, why, f": {error}" if str(error) else "")
        else:
            ledger.withdraw(record.token)


def _leave(record: JobRecord, ledger: Ledger, warn: Warn, why: str, said: str = "") -> None:
    warn(f"{record.run_folder} may be left there, and can be taken away{said}")
    ledger.settle(record.token, JobStatus(JobState.NEVER_RAN, why))


def _take_back(plan: JobPlan, folder: PurePosixPath, transport: Transport, ledger: Ledger) -> None:
    """The scheduler has not got it. Where the folder cannot be taken away, the reason for all this says more."""
    with contextlib.suppress(TransportError):
        transport.remove_folder(folder)
    ledger.withdraw(plan.token)


def _hand_over(command: Sequence[str], folder: PurePosixPath, transport: Transport, scheduler: Pbs) -> str:
    """The scheduler's id of the job. Raises SchedulerError where it refused, TransportError where nobody can tell."""
    why = "the connection broke while the job was submitted"
    for pause in PAUSES:
        answer = transport.run(command, folder, idempotent=True)
        if answer.out.strip() == once.NO_FOLDER:
            raise TransportError(f"{folder}: cannot be written to: {answer.err.strip()}{full_disk.remedy(answer.err)}")
        if answer.out.strip() != once.BEGUN:
            job_id = scheduler.parse_submit(answer)
            if job_id is not None:
                return job_id
            said = " ".join(f"{answer.out} {answer.err}".split())[:200]
            why = f"qsub ended with status {answer.status} and told no job's id" + (f" ({said})" if said else "")
            break
        time.sleep(pause)
    try:
        found = query.ids_by_folder(transport, scheduler, [folder]).get(folder.name)
    except SchedulerError as error:  # that it cannot say which jobs it has is no refusal of this one
        raise TransportError(f"{why}, and {error}", retryable=True) from None
    if found is None:
        raise TransportError(why, retryable=True)
    return found[0]


def _content(upload: Upload) -> bytes:
    assert upload.content is not None, upload.target
    return upload.content
