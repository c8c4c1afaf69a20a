"""Brings the ledger up to date: exit records from the run folders, and one question to each cluster's scheduler."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from hpcbrew import recover, runfolder, schedulers, transports
from hpcbrew.address import Address
from hpcbrew.errors import HpcbrewError
from hpcbrew.job import JobRecord
from hpcbrew.ledger import Ledger
from hpcbrew.runfolder import Progress
from hpcbrew.schedulers.pbs import Pbs, Polled
from hpcbrew.standing import judge
from hpcbrew.transports import Transport


@dataclass(frozen=True)
class Site:
    """A cluster, within reach."""

    transport: Transport
    scheduler: Pbs


@dataclass(frozen=True)
class Watched:
    """A job as it stands, and how far its training is. `trouble` is why its cluster could not be asked.

    `live`: the scheduler's ids of it that are not known to have ended; several where it is a `chain`.
    """

    record: JobRecord
    progress: Progress | None = None
    trouble: str = ""
    live: tuple[str, ...] = ()
    chain: bool = False


def reach(address: Address) -> Site:
    """Connects to a cluster."""
    return Site(transports.connect(address), schedulers.of(address))


def refresh(records: Iterable[JobRecord], ledger: Ledger) -> list[Watched]:
    """Each job anew, in the order given. A cluster that cannot be asked changes nothing, and holds up no other."""
    records = list(records)
    seen: dict[str, Watched] = {}
    for address in dict.fromkeys(r.address for r in records):
        own = [r for r in records if r.address == address]
        try:
            watched = look(reach(address), own, ledger)
        except HpcbrewError as error:
            watched = [Watched(r, trouble=str(error)) for r in own]
        seen |= {w.record.token: w for w in watched}
    return [seen[r.token] for r in records]


def look(site: Site, records: list[JobRecord], ledger: Ledger) -> list[Watched]:
    """The jobs of one cluster anew."""
    names = (runfolder.EXIT, runfolder.PROGRESS, runfolder.ID, runfolder.LINK_IDS)
    files = site.transport.read_all([r.run_folder / name for name in names for r in records])
    count = len(records)
    exits = [runfolder.read_exit(data) for data in files[:count]]
    progress = [runfolder.read_progress(data) for data in files[count : 2 * count]]
    first, others = files[2 * count : 3 * count], files[3 * count :]
    ids = [runfolder.read_ids(a) + runfolder.read_ids(b) for a, b in zip(first, others, strict=True)]
    found = [_confirmed(record, known, ledger) for record, known in zip(records, ids, strict=True)]
    ids = [known or ((r.id,) if r.id else ()) for r, known in zip(found, ids, strict=True)]
    trouble, polled, listed = "", None, None
    if not all(ids):
        try:
            listed = recover.ids_by_folder(site.transport, site.scheduler)
        except HpcbrewError as error:
            trouble = str(error)
        ids = [known or (listed or {}).get(r.run_folder.name, ()) for r, known in zip(found, ids, strict=True)]
        found = [_confirmed(record, known, ledger) for record, known in zip(found, ids, strict=True)]
    # A job that says itself that it went well need not be asked after.
    asked = [i for known, e in zip(ids, exits, strict=True) if not (e and e.status == 0) for i in known]
    if asked:
        try:
            polled = poll(site, asked)
        except HpcbrewError as error:
            trouble = str(error)
    watched = []
    for record, known, exit_record, going in zip(found, ids, exits, progress, strict=True):
        standing = judge(record, exit_record, polled, known)
        if not known and listed is not None and recover.overdue(record):
            standing = recover.NEVER_ARRIVED
        if standing != record.standing:
            ledger.settle(record.token, standing)
        live = () if standing.state.final else tuple(i for i in known if not _over(i, polled))
        watched.append(Watched(replace(record, standing=standing), going, trouble, live, chain=len(known) > 1))
    return watched


def poll(site: Site, ids: list[str]) -> Polled:
    """One question for all. Raises SchedulerError or TransportError where no answer came."""
    answer = site.transport.run(site.scheduler.status_command(ids), PurePosixPath("/"), again=True)
    return site.scheduler.parse_status(answer)


def _confirmed(record: JobRecord, ids: tuple[str, ...], ledger: Ledger) -> JobRecord:
    """A job whose submission broke off: the id lies in its run folder, if the scheduler ever gave one."""
    if record.id is not None or not ids:
        return record
    ledger.accepted(record.token, ids[0])
    return replace(record, id=ids[0])


def _over(job_id: str, polled: Polled | None) -> bool:
    view = polled.jobs.get(job_id) if polled else None
    return view is not None and view.standing.state.final
