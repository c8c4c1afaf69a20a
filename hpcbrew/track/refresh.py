"""Brings the ledger up to date: exit records from the run folders, and one question to each cluster's scheduler."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from hpcbrew import layout, schedulers
from hpcbrew.address import Address
from hpcbrew.errors import HpcbrewError
from hpcbrew.job import JobRecord, JobStatus
from hpcbrew.schedulers.pbs import Pbs, QstatReport
from hpcbrew.track import recover, run_folder
from hpcbrew.track.ledger import Ledger
from hpcbrew.track.query import poll
from hpcbrew.track.run_folder import ExitRecord, Progress
from hpcbrew.track.status import judge
from hpcbrew.transports.base import Transport
from hpcbrew.transports.connect import connect


@dataclass(frozen=True)
class Site:
    """A cluster, within reach."""

    transport: Transport
    scheduler: Pbs


@dataclass(frozen=True)
class TrackedJob:
    """A job as it stands, and how far its training is. `trouble` is why its cluster could not be asked.

    `live`: the scheduler's ids of it that are not known to have ended; several where it is a chain.
    """

    record: JobRecord
    progress: Progress | None = None
    trouble: str = ""
    live: tuple[str, ...] = ()

    def as_json(self) -> dict[str, object]:
        """The object that `status --json` prints."""
        return {**self.record.as_json(), "progress": self.progress.__dict__ if self.progress else None}


def reach(address: Address) -> Site:
    """Connects to a cluster."""
    return Site(connect(address), schedulers.of(address))


def refresh(records: Iterable[JobRecord], ledger: Ledger, sites: dict[Address, Site] | None = None) -> list[TrackedJob]:
    """Each job anew, in the order given. A cluster that cannot be asked changes nothing, and holds up no other.

    `sites`: connections that stand, to which new ones are added.
    """
    records, sites = list(records), {} if sites is None else sites
    seen: dict[str, TrackedJob] = {}
    for address in dict.fromkeys(r.address for r in records):
        own = [r for r in records if r.address == address]
        try:
            if address not in sites:
                sites[address] = reach(address)
            tracked = look(sites[address], own, ledger)
        except HpcbrewError as error:
            tracked = [TrackedJob(r, trouble=str(error)) for r in own]
        seen |= {w.record.token: w for w in tracked}
    return [seen[r.token] for r in records]


def look(site: Site, records: list[JobRecord], ledger: Ledger) -> list[TrackedJob]:
    """The jobs of one cluster anew."""
    told, trouble, listed, report = _read(site, records), "", None, None
    if not all(said.ids for said in told):
        try:
            listed = recover.ids_by_folder(site.transport, site.scheduler)
        except HpcbrewError as error:
            trouble = str(error)
        told = [
            said if said.ids else replace(said, ids=(listed or {}).get(record.run_folder.name, ()))
            for record, said in zip(records, told, strict=True)
        ]
    # A job that says itself that it went well need not be asked after.
    asked = [i for t in told for i in t.ids if not (t.exit and t.exit.status == 0)]
    if asked:
        try:
            report = poll(site.transport, site.scheduler, asked)
        except HpcbrewError as error:
            trouble = str(error)
    told = _settled(site, records, told, report)
    tracked = []
    with ledger.together():
        for record, said in zip(records, told, strict=True):
            gone = not said.ids and listed is not None and recover.overdue(record)
            status = recover.NEVER_ARRIVED if gone else judge(record, said.exit, report, said.ids)
            live = () if status.state.final else tuple(i for i in said.ids if not _over(i, report))
            now = _written(record, said.ids, status, ledger)
            tracked.append(TrackedJob(now, said.progress, trouble, live))
    return tracked


def glance(site: Site, tracked: TrackedJob) -> TrackedJob | None:
    """The job by its run folder alone: how far it is. None where the folder says that it has begun, or has ended: then
    the scheduler is to be asked, which may be none too often."""
    (said,) = _read(site, [tracked.record])
    if said.exit or (said.progress and not tracked.progress):
        return None
    return replace(tracked, progress=said.progress)


@dataclass(frozen=True)
class _Told:
    """What a job's run folder says: its exit record, its progress, the scheduler's ids of it."""

    exit: ExitRecord | None
    progress: Progress | None
    ids: tuple[str, ...]


def _read(site: Site, records: list[JobRecord]) -> list[_Told]:
    """The run folders of all jobs, in one round trip."""
    names = (layout.EXIT, layout.PROGRESS, layout.ID, layout.LINK_IDS)
    files = iter(site.transport.read_all([r.run_folder / name for r in records for name in names]))
    told = []
    for record in records:
        exit_data, progress, first, others = (next(files) for _ in names)
        ids = run_folder.read_ids(first) + run_folder.read_ids(others)
        ids = ids or ((record.id,) if record.id else ())
        told.append(_Told(run_folder.read_exit(exit_data), run_folder.read_progress(progress), ids))
    return told


def _settled(site: Site, records: list[JobRecord], told: list[_Told], report: QstatReport | None) -> list[_Told]:
    """A job that ended between the reading of its folder and the question to the scheduler is read again."""
    late = [
        n
        for n, (record, said) in enumerate(zip(records, told, strict=True))
        if said.exit is None and judge(record, None, report, said.ids).state.final
    ]
    again = dict(zip(late, _read(site, [records[n] for n in late]) if late else [], strict=True))
    return [again.get(n, said) for n, said in enumerate(told)]


def _written(record: JobRecord, ids: tuple[str, ...], status: JobStatus, ledger: Ledger) -> JobRecord:
    """The job with what is new of it, its state and an id that was not known; the ledger learns it too."""
    if record.id is None and ids:
        ledger.accepted(record.token, ids[0])
        record = replace(record, id=ids[0])
    if status != record.status:
        ledger.settle(record.token, status)
    return replace(record, status=status)


def _over(job_id: str, report: QstatReport | None) -> bool:
    view = report.jobs.get(job_id) if report else None
    return view is not None and view.status.state.final
