"""What a scheduler is asked: how some jobs stand, or all that it lists; and whose run folder is whose among those."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import PurePosixPath

from hpcbrew import layout
from hpcbrew.command_result import CommandResult
from hpcbrew.schedulers.pbs import JOB_ID, Pbs, QstatReport
from hpcbrew.schedulers.pbs_status import JobView
from hpcbrew.transports.base import Transport

TOP = PurePosixPath("/")


SOME = 40
"""So many jobs are asked for one by one, as qstat does it: each takes it a connection, and a privileged port for a
minute, of which a machine has some 500."""

FEW = 5
"""So many names are asked for one by one; else all of the user's jobs."""

LINE = 60_000
"""Characters of ids in one command: a line of a shell's may have twice that."""


def poll(transport: Transport, scheduler: Pbs, ids: Sequence[str] = ()) -> QstatReport:
    """Without ids: every job. Raises SchedulerError or TransportError where no answer came."""
    if len(ids) <= SOME or not scheduler.one_by_one:
        return _asked(transport, scheduler, ids)
    report = QstatReport({}, frozenset())
    for some in _lines(ids):
        report |= _together(transport, scheduler, some)
    return report


def _lines(ids: Sequence[str]) -> Iterator[list[str]]:
    line: list[str] = []
    length = 0
    for job_id in ids:
        length += len(job_id) + 3  # a blank, and quotes
        if line and length > LINE:
            yield line
            line, length = [], len(job_id) + 3
        line.append(job_id)
    yield line


def _together(transport: Transport, scheduler: Pbs, ids: Sequence[str]) -> QstatReport:
    """Many jobs by one connection; where this PBS has no way to do that, by all that it lists as not ended."""
    answer = _answer(transport, lambda history: scheduler.status_together(ids, history=history), scheduler)
    if scheduler.has_no_such_option(answer):
        listed = scheduler.parse_status(
            _answer(transport, lambda _: scheduler.status_command((), history=False), scheduler)
        )
        found = QstatReport({i: listed.jobs[i] for i in ids if i in listed.jobs}, frozenset())
        # Of the others some are asked for by name, and the rest next time.
        missing = [i for i in ids if i not in found.jobs][:SOME]
        return found | _asked(transport, scheduler, missing) if missing else found
    found = scheduler.parse_together(answer, ids)
    missing = [i for i in ids if i not in found.jobs and i not in found.unknown]
    if not missing or not found.jobs:
        return found
    # It says nothing of those that it does not know, beside others that it does.
    again = _answer(transport, lambda history: scheduler.status_together(missing, history=history), scheduler)
    return found | scheduler.parse_together(again, missing)


def _asked(transport: Transport, scheduler: Pbs, ids: Sequence[str]) -> QstatReport:
    answer = _answer(transport, lambda history: scheduler.status_command(ids, history=history), scheduler)
    return scheduler.parse_status(answer, ids)


def _answer(transport: Transport, command: Callable[[bool], tuple[str, ...]], scheduler: Pbs) -> CommandResult:
    """A site that keeps no history refuses to be asked for it, and is asked anew."""
    answer = transport.run(command(True), TOP, idempotent=True)
    if scheduler.keeps_no_history(answer):
        answer = transport.run(command(False), TOP, idempotent=True)
    return answer


def ids_by_folder(
    transport: Transport, scheduler: Pbs, folders: Sequence[PurePosixPath] | None = None
) -> dict[str, tuple[str, ...]]:
    """The ids of every job whose scheduler's log lies in one of these run folders, by the folder's name; without
    `folders`, in any. So a job is found whose submission broke off: its run folder bears its token.

    A run folder's name has the job's, by which PBS is asked: all jobs, with those that have ended, may be very many.
    Raises SchedulerError or TransportError where no answer came.
    """
    every = folders is None or not scheduler.selects
    report = poll(transport, scheduler) if every else _of_names(transport, scheduler, folders or ())
    found: dict[str, tuple[str, ...]] = {}
    for job_id, job in report.jobs.items():
        folder = _folder(job)
        if folder is not None and JOB_ID.fullmatch(job_id):
            found[folder] = (*found.get(folder, ()), job_id)
    return found


def others(report: QstatReport | None, ids: Sequence[str], folder: str) -> dict[str, str]:
    """Those of these ids that the scheduler shows to be jobs of other run folders than that of this name, and which:
    it may have begun its numbers anew, and a run folder's records may be damaged."""
    jobs = report.jobs if report else {}
    folders = {job_id: _folder(jobs[job_id]) for job_id in ids if job_id in jobs}
    return {job_id: other for job_id, other in folders.items() if other not in (None, folder)}


def moved_in(report: QstatReport | None, job_id: str, folder: str) -> bool:
    """Whether that other run folder's job has the id beyond doubt: its environment names the folder too, where the
    scheduler shows it. A damaged answer does not change both places alike."""
    shown = report.jobs[job_id].get("Variable_List") if report else ""
    return not shown or any(
        word.startswith("PBS_O_WORKDIR=") and word.endswith(f"/{folder}") for word in shown.split(",")
    )


def _folder(job: JobView) -> str | None:
    """The name of a job's run folder, by where its scheduler's log goes; None where it is no job of ours."""
    output = PurePosixPath(job.get("Output_Path"))
    if output.name != layout.SCHEDULER_LOG:
        return None
    of_array = output.parent.parent.name == layout.POINTS
    return output.parents[min(2 if of_array else 0, len(output.parents) - 1)].name


def _of_names(transport: Transport, scheduler: Pbs, folders: Sequence[PurePosixPath]) -> QstatReport:
    """The user's jobs of those names. Where PBS's qselect is not to be had, all jobs."""
    names = list(dict.fromkeys(folder.name.rpartition("-")[0] for folder in folders))
    ids: list[str] = []
    for name in names if len(names) <= FEW else [None]:
        answer = _answer(transport, lambda history: scheduler.select_command(name, history=history), scheduler)  # noqa: B023
        selected = scheduler.parse_select(answer)
        if selected is None:
            return poll(transport, scheduler)
        ids += selected
    return poll(transport, scheduler, ids) if ids else QstatReport({}, frozenset())
