"""Brings the ledger up to date, from the records in the run folders and one query of each cluster's scheduler."""

import contextlib
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import partial

from engine.job_contract import ExitCode
from hpcbrew import layout, schedulers
from hpcbrew.address import Address
from hpcbrew.errors import HpcbrewError
from hpcbrew.job import JobRecord, JobState, JobStatus, iso
from hpcbrew.schedulers.pbs import Pbs, QstatReport
from hpcbrew.track import ends, query, run_folder, sweep_outcome
from hpcbrew.track.ledger import Ledger
from hpcbrew.track.outcome import Outcome, read_outcome
from hpcbrew.track.run_folder import FolderRecords, Progress
from hpcbrew.track.status import judge
from hpcbrew.transports import side_by_side
from hpcbrew.transports.base import Contents, Transport
from hpcbrew.transports.connect import connect

GRACE = 15 * 60
"""Seconds after which a job without an id that the scheduler does not list counts as never submitted."""

NEVER_ARRIVED = JobStatus(
    JobState.LOST, "its submission was never confirmed, and the scheduler does not list it: submit it again"
)


LOGS = 20
"""The most logs that one command reads for the messages of engines that refused a job."""


@dataclass(frozen=True)
class Site:
    """A connected cluster."""

    transport: Transport
    scheduler: Pbs


@dataclass(frozen=True)
class TrackedJob:
    """A job with its current state and progress. `trouble`: why its cluster could not be asked, if so.

    `live`: those of its scheduler ids that are not known to have ended; a chain has several. `fault`: which of the
    records in its run folder are malformed. `outcome`: its progress and, once it has ended, its outcome.
    """

    record: JobRecord
    trouble: str = ""
    live: tuple[str, ...] = ()
    fault: str = ""
    outcome: Outcome = field(default_factory=Outcome)

    @property
    def progress(self) -> Progress | None:
        return self.outcome.progress

    def as_json(self) -> dict[str, object]:
        """Returns the object that `status --json` prints."""
        outcome = self.outcome
        return {
            **self.record.as_json(),
            "progress": outcome.progress.as_json() if outcome.progress else None,
            "ended": iso(outcome.ended),
            "ran_seconds": outcome.ran,
            "error": outcome.words or None,
            **({"fault": self.fault} if self.fault else {}),
        }


def as_kept(record: JobRecord, outcomes: dict[str, str]) -> TrackedJob:
    """Returns an ended job as the ledger knows it; `outcomes` are the ledger's."""
    return TrackedJob(record, outcome=read_outcome(outcomes.get(record.token)))


def look_back(site: Site, records: list[JobRecord], ledger: Ledger) -> None:
    """Records the outcomes of ended jobs for which the ledger has none, from their run folders. Raises HpcbrewError if
    these cannot be read now."""
    folders = _read(site, records)
    outcomes = [Outcome(folder.progress, folder.exit.time if folder.exit else None) for folder in folders]
    jobs = [TrackedJob(record, outcome=outcome) for record, outcome in zip(records, outcomes, strict=True)]
    with ledger.together():
        for job in _with_points(site, jobs):
            ledger.came_of(job.record.token, job.outcome.as_text())


def reach(address: Address) -> Site:
    """Connects to a cluster."""
    return Site(connect(address), schedulers.of(address))


def refresh(records: Iterable[JobRecord], ledger: Ledger, sites: dict[Address, Site] | None = None) -> list[TrackedJob]:
    """Returns the current state of each job, in the given order. Clusters are asked concurrently; one that cannot be
    asked changes nothing.

    `sites`: open connections, to which new ones are added.
    """
    records, sites = list(records), {} if sites is None else sites
    by_address: dict[Address, list[JobRecord]] = {}
    for record in records:
        by_address.setdefault(record.address, []).append(record)

    def asked(address: Address) -> list[TrackedJob]:
        if address not in sites:
            sites[address] = reach(address)
        return _observe(sites[address], by_address[address])

    by_token: dict[str, TrackedJob] = {}
    for group, outcome in zip(
        by_address.values(), side_by_side.run([partial(asked, address) for address in by_address]), strict=True
    ):
        try:
            tracked = _written(group, outcome.get(), ledger)
        except HpcbrewError as error:
            tracked = [TrackedJob(r, trouble=str(error)) for r in group]
        by_token |= {w.record.token: w for w in tracked}
    return [by_token[r.token] for r in records]


def look(site: Site, records: list[JobRecord], ledger: Ledger) -> list[TrackedJob]:
    """Updates the jobs of one cluster: reads their run folders, asks the scheduler, and records what is new."""
    return _written(records, _observe(site, records), ledger)


def _observe(site: Site, records: list[JobRecord]) -> list[TrackedJob]:
    """Finds out what one cluster says about its jobs. Records nothing, so that each cluster can be asked in a
    thread."""
    folders = _read(site, records)
    listing = _list(site, records, folders)
    folders = _without_past_links(site, records, _with_ids(records, folders, listing))
    answer = _ask(site, folders)
    folders = _read_again(site, records, folders, answer.report)
    tracked = [_decide(*both, listing, answer) for both in zip(records, folders, strict=True)]
    return _with_words(site, records, _with_points(site, _with_ends_seen(site, records, tracked)))


def _written(records: list[JobRecord], tracked: list[TrackedJob], ledger: Ledger) -> list[TrackedJob]:
    with ledger.together():
        return [_record(old_record, job, ledger) for old_record, job in zip(records, tracked, strict=True)]


def glance(site: Site, tracked: TrackedJob) -> TrackedJob | None:
    """Updates a job's progress from its run folder alone. None if the folder says that the job has started or ended:
    then the scheduler must be asked, which should not happen too often."""
    (folder,) = _read(site, [tracked.record])
    if folder.exit or (folder.progress and not tracked.progress):
        return None
    return replace(tracked, outcome=Outcome(folder.progress), fault=folder.fault)


@dataclass(frozen=True)
class _Listing:
    """The ids of the scheduler's jobs by the names of their run folders; None if it was not asked or did not answer."""

    ids: dict[str, tuple[str, ...]] | None = None
    trouble: str = ""


@dataclass(frozen=True)
class _Answer:
    """What the scheduler says about the jobs; None if it was not asked or did not answer."""

    report: QstatReport | None = None
    trouble: str = ""


def _read(site: Site, records: list[JobRecord]) -> list[FolderRecords]:
    """Reads the records in the run folders of all jobs, in one round trip."""
    names = (layout.EXIT, layout.PROGRESS, layout.ID, layout.LINK_IDS, layout.CANCELLED)
    files = iter(site.transport.read_all([r.run_folder / name for r in records for name in names]))
    folders = []
    for record in records:
        *data, cancelled = (next(files) for _ in names)
        folder = replace(run_folder.read_records(*data), cancelled=cancelled is not None)
        folders.append(folder if folder.ids or not record.id else replace(folder, ids=(record.id,)))
    return folders


def _list(site: Site, records: list[JobRecord], folders: list[FolderRecords]) -> _Listing:
    """Looks up the scheduler's jobs for those jobs whose ids are not known."""
    lacking = [record.run_folder for record, folder in zip(records, folders, strict=True) if not folder.ids]
    if not lacking:
        return _Listing()
    try:
        return _Listing(query.ids_by_folder(site.transport, site.scheduler, lacking))
    except HpcbrewError as error:
        return _Listing(trouble=str(error))


def _with_ids(records: list[JobRecord], folders: list[FolderRecords], listing: _Listing) -> list[FolderRecords]:
    """Gives jobs whose ids were not known the ids that the scheduler lists for their run folders."""
    ids = listing.ids or {}
    return [
        folder if folder.ids else replace(folder, ids=ids.get(record.run_folder.name, ()))
        for record, folder in zip(records, folders, strict=True)
    ]


def _without_past_links(site: Site, records: list[JobRecord], folders: list[FolderRecords]) -> list[FolderRecords]:
    """Marks those links of chains that are over according to the chain's own log. Of these, only the last may tell why
    the chain ended."""
    chains = [n for n, folder in enumerate(folders) if len(folder.ids) > 2 and not folder.went_well]
    logs = site.transport.read_all([records[n].run_folder / layout.LINKS for n in chains]) if chains else []
    past = {n: _past(folders[n].ids, log) for n, log in zip(chains, logs, strict=True)}
    return [replace(folder, past=past.get(n, 0)) for n, folder in enumerate(folders)]


def _past(ids: tuple[str, ...], log: Contents) -> int:
    """Returns how many links are past. A line of the log is a link's id and, once the link is over, how it ended."""
    lines = [line.split() for line in (log if isinstance(log, bytes) else b"").decode(errors="replace").splitlines()]
    past_ids = {line[0] for line in lines if len(line) > 1}
    return max((n for n, job_id in enumerate(ids) if job_id in past_ids), default=0)


def _ask(site: Site, folders: list[FolderRecords]) -> _Answer:
    """Asks the scheduler about the jobs, except those whose own records say that they succeeded."""
    ids = [job_id for folder in folders if not folder.went_well for job_id in folder.asked]
    if not ids:
        return _Answer()
    try:
        return _Answer(query.poll(site.transport, site.scheduler, ids))
    except HpcbrewError as error:
        return _Answer(trouble=str(error))


def _read_again(
    site: Site, records: list[JobRecord], folders: list[FolderRecords], report: QstatReport | None
) -> list[FolderRecords]:
    """Reads the folders of jobs again that ended between the reading of their folders and the scheduler's answer."""
    late = [
        n
        for n, (record, folder) in enumerate(zip(records, folders, strict=True))
        if folder.exit is None
        and judge(
            record, None, _own(record, report, _others(record, folder, report)), folder.ids, asked=folder.asked
        ).state.final
    ]
    if not late:
        return folders
    late_records = [records[n] for n in late]
    late_folders = _without_past_links(site, late_records, _read(site, late_records))
    # A job that was found in the scheduler's list has no ids of its own.
    updates = {
        n: folder if folder.ids else replace(folder, ids=folders[n].ids)
        for n, folder in zip(late, late_folders, strict=True)
    }
    return [updates.get(n, folder) for n, folder in enumerate(folders)]


def _decide(record: JobRecord, folder: FolderRecords, listing: _Listing, answer: _Answer) -> TrackedJob:
    """Decides what has become of a job, from everything that is known about it."""
    never_arrived = not folder.ids and listing.ids is not None and _overdue(record)
    others = _others(record, folder, answer.report)
    report = _own(record, answer.report, others)
    status = NEVER_ARRIVED if never_arrived else _judged(record, folder, report)
    live = () if status.state.final else tuple(i for i in folder.asked if i not in others and not _ended(i, report))
    job_id = record.id or next(iter(folder.ids), None)
    updated = replace(record, id=job_id, status=status)
    end_time = folder.exit.time if folder.exit and status.state.final else None
    trouble = "" if status.state.final else _mistaken(record, others)
    outcome = Outcome(folder.progress, end_time)
    return TrackedJob(updated, answer.trouble or listing.trouble or trouble, live, folder.fault, outcome)


def _others(record: JobRecord, folder: FolderRecords, report: QstatReport | None) -> dict[str, str]:
    """Returns which of the ids now belong, or always belonged, to jobs of other run folders."""
    return query.others(report, folder.asked, run_folder.described_in(record).name)


def _own(record: JobRecord, report: QstatReport | None, others: dict[str, str]) -> QstatReport | None:
    """Returns the answer without `others`, the jobs of other folders. If one of these has the id that the scheduler
    gave this job, the scheduler no longer knows this job; if the id is only known from the folder, nothing follows."""
    if report is None or not others:
        return report
    jobs = {job_id: job for job_id, job in report.jobs.items() if job_id not in others}
    begun_anew = {i for i, name in others.items() if i == record.id and query.moved_in(report, i, name)}
    return QstatReport(jobs, report.unknown | begun_anew)


def _mistaken(record: JobRecord, others: dict[str, str]) -> str:
    other = next(iter(others.items()), None)
    if other is None:
        return ""
    return f"the scheduler says that {other[0]} is the job of {other[1]}, but {record.run_folder} claims it as its own"


def _judged(record: JobRecord, folder: FolderRecords, report: QstatReport | None) -> JobStatus:
    """Judges a job's state. That it was cancelled may be known only from its run folder, if it was cancelled from
    another machine or is one job of an array."""
    record = replace(record, cancel_asked=record.cancel_asked or folder.cancelled)
    begun = folder.progress is not None
    status = judge(record, folder.exit, report, folder.ids, asked=folder.asked, begun=begun)
    iteration = folder.progress.diverged if folder.progress else None
    if status.state is JobState.DIVERGED and iteration is not None:
        return replace(status, reason=f"at iteration {iteration}: {status.reason}")
    return status


def _with_words(site: Site, old_records: list[JobRecord], tracked: list[TrackedJob]) -> list[TrackedJob]:
    """Adds to jobs that have just failed the engine's own words, if their logs can be read; for at most LOGS jobs, so
    that nobody waits long."""
    failed = [
        n
        for n, (record, job) in enumerate(zip(old_records, tracked, strict=True))
        if job.record.status != record.status and job.record.status.exit_status == ExitCode.WRONG
    ]
    tracked = list(tracked)
    for n in failed[-LOGS:]:
        with contextlib.suppress(HpcbrewError):
            words = run_folder.complaint(tracked[n].record, site.transport) or ""
            tracked[n] = replace(tracked[n], outcome=replace(tracked[n].outcome, words=words))
    return tracked


def _with_points(site: Site, tracked: list[TrackedJob]) -> list[TrackedJob]:
    """Adds to sweeps the outcomes of their points, if these can be read."""
    sweeps = [n for n, job in enumerate(tracked) if job.record.is_array and not job.trouble]
    tracked = list(tracked)
    with contextlib.suppress(HpcbrewError):
        outcomes = sweep_outcome.outcomes(site.transport, [tracked[n].record for n in sweeps]) if sweeps else []
        for n, outcome in zip(sweeps, outcomes, strict=True):
            final = tracked[n].record.status.state.final
            tracked[n] = replace(tracked[n], outcome=outcome if final else replace(outcome, ended=None))
    return tracked


def _with_ends_seen(site: Site, old_records: list[JobRecord], tracked: list[TrackedJob]) -> list[TrackedJob]:
    """Searches the run folders of jobs with doubtful ends, which are reported only after that."""
    changed = [n for n, job in enumerate(tracked) if job.record.status != old_records[n].status]
    doubtful = [n for n in changed if ends.doubtful(tracked[n].record.status)]
    if not doubtful:
        return tracked
    tracked = list(tracked)
    try:
        statuses = ends.resolved(site.transport, [tracked[n].record for n in doubtful])
    except HpcbrewError as error:
        for n in doubtful:
            tracked[n] = replace(tracked[n], record=old_records[n], trouble=str(error))
        return tracked
    for n, status in zip(doubtful, statuses, strict=True):
        tracked[n] = replace(tracked[n], record=replace(tracked[n].record, status=status))
    return tracked


def _overdue(record: JobRecord) -> bool:
    """Whether an unconfirmed job was sent so long ago that the scheduler would list it by now."""
    return record.id is None and time.time() - record.submitted > GRACE


def _ended(job_id: str, report: QstatReport | None) -> bool:
    view = report.jobs.get(job_id) if report else None
    return view is not None and view.status.state.final


def _record(old_record: JobRecord, tracked: TrackedJob, ledger: Ledger) -> TrackedJob:
    """Records in the ledger what is new about a job: its id, if that was not known, and its state."""
    record = tracked.record
    if old_record.id is None and record.id is not None:
        ledger.accepted(record.token, record.id)
    if record.status != old_record.status:
        ledger.settle(record.token, record.status, tracked.outcome.as_text() if record.status.state.final else None)
    return tracked
