"""Removes jobs that have ended: their run folders, and their entries in the ledger."""

from dataclasses import dataclass

from hpcbrew import layout
from hpcbrew.errors import RequestError, TransportError
from hpcbrew.job import JobRecord
from hpcbrew.track import refresh
from hpcbrew.track.control import Sites
from hpcbrew.track.ledger import Ledger
from hpcbrew.track.refresh import Site
from hpcbrew.transports.base import NoRecord


@dataclass(frozen=True)
class Removal:
    """A job that may be removed, and the number of files and the total bytes in its run folder."""

    record: JobRecord
    site: Site
    files: int
    size: int


def look(record: JobRecord, ledger: Ledger, sites: Sites) -> Removal:
    """Returns what would be removed. `sites`: open connections, to which new ones are added.

    Raises RequestError for a job that has not ended, for one job of an array, and for a folder that a job still needs;
    TransportError if its cluster cannot be asked.
    """
    if record.point is not None:
        raise RequestError("is one job of an array, which can only be removed as a whole")
    if record.run_folder.parent.name != layout.RUNS.name or record.run_folder.name != f"{record.name}-{record.token}":
        raise RequestError(f"{record.run_folder} does not have the name of its run folder, and is not touched")
    site = sites.get(record.address) or refresh.reach(record.address)
    if isinstance(site, TransportError):
        raise site
    try:
        state = refresh.look(site, [record], ledger)[0].record.status.state
        if not state.final:
            raise RequestError(f"is {state}, and only an ended job can be removed: hpcbrew cancel {record.token}")
        if needing := _needing(record, site, ledger):
            raise RequestError(f"{needing.name} ({needing.id or needing.token}) has not ended and needs its snapshots")
        sizes = site.transport.sizes(record.run_folder)
    except TransportError as error:
        sites.setdefault(record.address, error)
        raise
    sites[record.address] = site
    return Removal(record, site, len(sizes), sum(sizes.values()))


def remove(removal: Removal, ledger: Ledger) -> None:
    """Removes the folder first, so that the ledger does not forget a job whose folder is left. Raises
    TransportError."""
    removal.site.transport.remove_folder(removal.record.run_folder)
    ledger.forget(removal.record.token)


def _needing(record: JobRecord, site: Site, ledger: Ledger) -> JobRecord | None:
    """Returns a job that has not ended and whose script names the run folder, such as one resumed from it. A script
    that cannot be read is assumed to name it."""
    other_jobs = [job for job in ledger.live() if job.address == record.address and job.token != record.token]
    scripts = site.transport.read_all([job.run_folder / layout.SCRIPT for job in other_jobs]) if other_jobs else []
    name = record.run_folder.name.encode()
    for job, script in zip(other_jobs, scripts, strict=True):
        if isinstance(script, NoRecord) or (script and name in script):
            return job
    return None
