"""Brings the ledger up to date: exit records from the run folders, and one question to each cluster's scheduler."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from hpcbrew import runfolder, schedulers, transports
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
    """A job as it stands, and how far its training is. `trouble` is why its cluster could not be asked."""

    record: JobRecord
    progress: Progress | None = None
    trouble: str = ""


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
    found = [_find(site, record, ledger) for record in records]
    folders = [r.run_folder for r in found]
    files = site.transport.read_all(
        [f / runfolder.EXIT for f in folders] + [f / runfolder.PROGRESS for f in folders],
    )
    exits = [runfolder.read_exit(data) for data in files[: len(found)]]
    progress = [runfolder.read_progress(data) for data in files[len(found) :]]
    trouble, polled = "", None
    # A job that says itself that it went well need not be asked after.
    asked = [r.id for r, e in zip(found, exits, strict=True) if r.id and not (e and e.status == 0)]
    if asked:
        try:
            polled = poll(site, asked)
        except HpcbrewError as error:
            trouble = str(error)
    watched = []
    for record, exit_record, going in zip(found, exits, progress, strict=True):
        standing = judge(record, exit_record, polled)
        if standing != record.standing:
            ledger.settle(record.token, standing)
        watched.append(Watched(replace(record, standing=standing), going, trouble))
    return watched


def poll(site: Site, ids: list[str]) -> Polled:
    """One question for all. Raises SchedulerError or TransportError where no answer came."""
    answer = site.transport.run(site.scheduler.status_command(ids), PurePosixPath("/"))
    return site.scheduler.parse_status(answer)


def _find(site: Site, record: JobRecord, ledger: Ledger) -> JobRecord:
    """A job whose submission broke off: the id lies in its run folder, if the scheduler ever gave one."""
    if record.id is not None:
        return record
    data = site.transport.read(record.run_folder / runfolder.ID)
    if not data or not data.strip():
        return record
    job_id = data.decode(errors="replace").strip().splitlines()[-1]
    ledger.accepted(record.token, job_id)
    return replace(record, id=job_id)
