"""Queries the scheduler: for the states of some jobs or of all, and for which job belongs to which run folder."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import PurePosixPath

from hpcbrew import layout
from hpcbrew.command_result import CommandResult
from hpcbrew.schedulers.pbs import JOB_ID, Pbs, QstatReport
from hpcbrew.schedulers.pbs_status import JobView
from hpcbrew.transports.base import Transport

TOP = PurePosixPath("/")


SOME = 40
"""The most jobs that are queried one by one, as qstat does: for each it uses a connection, and for a minute a
privileged port, of which a machine has some 500."""

FEW = 5
"""The most names that are queried one by one; for more, all of the user's jobs are."""

LINE = 60_000
"""Characters of ids in one command: a shell's line may have twice that."""


def poll(transport: Transport, scheduler: Pbs, ids: Sequence[str] = ()) -> QstatReport:
    """Queries the states of jobs; without ids, of every job. Raises SchedulerError or TransportError if there is no
    answer."""
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
    """Queries many jobs over one connection; if this PBS cannot do that, looks for them among all its live jobs."""
    answer = _answer(transport, lambda history: scheduler.status_together(ids, history=history), scheduler)
    if scheduler.has_no_such_option(answer):
        live = scheduler.parse_status(
            _answer(transport, lambda _: scheduler.status_command((), history=False), scheduler)
        )
        report = QstatReport({i: live.jobs[i] for i in ids if i in live.jobs}, frozenset())
        # Some of the others are queried by id, and the rest next time.
        missing = [i for i in ids if i not in report.jobs][:SOME]
        return report | _asked(transport, scheduler, missing) if missing else report
    report = scheduler.parse_together(answer, ids)
    missing = [i for i in ids if i not in report.jobs and i not in report.unknown]
    if not missing or not report.jobs:
        return report
    # Beside jobs that it knows, it says nothing about those that it does not.
    second_answer = _answer(transport, lambda history: scheduler.status_together(missing, history=history), scheduler)
    return report | scheduler.parse_together(second_answer, missing)


def _asked(transport: Transport, scheduler: Pbs, ids: Sequence[str]) -> QstatReport:
    answer = _answer(transport, lambda history: scheduler.status_command(ids, history=history), scheduler)
    return scheduler.parse_status(answer, ids)


def _answer(transport: Transport, command: Callable[[bool], tuple[str, ...]], scheduler: Pbs) -> CommandResult:
    """Runs a query with history; a site that keeps no history refuses that, and is asked again without."""
    answer = transport.run(command(True), TOP, idempotent=True)
    if scheduler.keeps_no_history(answer):
        answer = transport.run(command(False), TOP, idempotent=True)
    return answer


def ids_by_folder(
    transport: Transport, scheduler: Pbs, folders: Sequence[PurePosixPath] | None = None
) -> dict[str, tuple[str, ...]]:
    """Returns the ids of every job whose scheduler log is in one of these run folders, by the folder's name; without
    `folders`, in any. This finds a job whose submission was interrupted, since its run folder has its token.

    PBS is queried by job name, which a run folder's name contains, because all jobs together, including ended ones, may
    be very many. Raises SchedulerError or TransportError if there is no answer.
    """
    query_all = folders is None or not scheduler.selects
    report = poll(transport, scheduler) if query_all else _of_names(transport, scheduler, folders or ())
    ids: dict[str, tuple[str, ...]] = {}
    for job_id, job in report.jobs.items():
        folder = _folder(job)
        if folder is not None and JOB_ID.fullmatch(job_id):
            ids[folder] = (*ids.get(folder, ()), job_id)
    return ids


def others(report: QstatReport | None, ids: Sequence[str], folder: str) -> dict[str, str]:
    """Returns which of these ids the scheduler shows to be jobs of other run folders than `folder`, with the names of
    those. The scheduler may have restarted its numbering, and a run folder's records may be damaged."""
    jobs = report.jobs if report else {}
    folders = {job_id: _folder(jobs[job_id]) for job_id in ids if job_id in jobs}
    return {job_id: other for job_id, other in folders.items() if other not in (None, folder)}


def moved_in(report: QstatReport | None, job_id: str, folder: str) -> bool:
    """Whether the id certainly belongs to the job of run folder `folder`: the job's environment, if the scheduler shows
    it, names the folder too. A damaged answer would not have the same change in both places."""
    variables = report.jobs[job_id].get("Variable_List") if report else ""
    return not variables or any(
        word.startswith("PBS_O_WORKDIR=") and word.endswith(f"/{folder}") for word in variables.split(",")
    )


def _folder(job: JobView) -> str | None:
    """Returns the name of a job's run folder, from the path of its scheduler log; None if it is not a job of
    hpcbrew."""
    output = PurePosixPath(job.get("Output_Path"))
    if output.name != layout.SCHEDULER_LOG:
        return None
    of_array = output.parent.parent.name == layout.POINTS
    return output.parents[min(2 if of_array else 0, len(output.parents) - 1)].name


def _of_names(transport: Transport, scheduler: Pbs, folders: Sequence[PurePosixPath]) -> QstatReport:
    """Queries the user's jobs with those names; without PBS's qselect, all jobs."""
    names = list(dict.fromkeys(folder.name.rpartition("-")[0] for folder in folders))
    ids: list[str] = []
    for name in names if len(names) <= FEW else [None]:
        answer = _answer(transport, lambda history: scheduler.select_command(name, history=history), scheduler)  # noqa: B023
        selected = scheduler.parse_select(answer)
        if selected is None:
            return poll(transport, scheduler)
        ids += selected
    return poll(transport, scheduler, ids) if ids else QstatReport({}, frozenset())
