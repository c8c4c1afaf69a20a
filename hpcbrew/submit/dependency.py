"""`--after JOB`: which scheduler job a new job has to wait for, and where it can see whether JOB is done."""

from hpcbrew.address import Address
from hpcbrew.errors import RequestError
from hpcbrew.job import After, JobRecord, JobState, JobStatus
from hpcbrew.track import refresh, run_folder
from hpcbrew.track.ledger import Ledger


def after(job: str, address: Address, ledger: Ledger) -> After | None:
    """Asks the cluster, and returns what to wait for; None if the job is done already, since the scheduler may have
    forgotten it.

    Raises RequestError if the job can no longer succeed, or runs on another cluster.
    """
    record = _of_cluster(job, address, ledger)
    site = refresh.reach(record.address)
    tracked = refresh.look(site, [record], ledger)[0]
    status = tracked.record.status
    if status.state is JobState.DONE:
        return None
    if status.state.final:
        raise _never_done(job, status)
    if tracked.record.id is None:
        raise _unconfirmed(job)
    if run_folder.describe(record, site.transport).is_sequence:
        # The link at work: the one waiting behind it may be deleted, and the run folder has its id anyway.
        return After(tracked.live[0] if tracked.live else tracked.record.id, record.name, str(record.run_folder))
    return After(tracked.record.id, record.name)


def as_last_heard(job: str, address: Address, ledger: Ledger) -> tuple[After | None, str]:
    """The same as `after` for a dry run: from the ledger alone, which is not changed. Also returns a sentence on what
    only the cluster could tell; empty if the job is known to be done.
    """
    record = _of_cluster(job, address, ledger)
    status = record.status
    if status.state is JobState.DONE:
        return None, ""
    if status.state.final and status.state is not JobState.LOST:  # a lost job may turn up again
        raise _never_done(job, status)
    if record.id is None:
        raise _unconfirmed(job)
    unknown = (
        f"--after {job}: {record.cluster} was not asked. {record.name} ({record.id}) was last known to be "
        f"{status.state}; once it is done, there is nothing to wait for, and if it is a chain, the script itself "
        "checks whether all of it is done"
    )
    return After(record.id, record.name), unknown


def _of_cluster(job: str, address: Address, ledger: Ledger) -> JobRecord:
    """Returns the ledger's record of the job. Raises RequestError if jobs of this cluster cannot wait for it."""
    record = ledger.find(job)
    if record.point is not None:
        raise RequestError(f"--after {job}: is one job of an array, and PBS can only wait for a whole array")
    if (record.address.cluster, record.address.host) != (address.cluster, address.host):
        raise RequestError(f"--after {job}: runs on {record.cluster}, but a job waits only for one on its own cluster")
    return record


def _never_done(job: str, status: JobStatus) -> RequestError:
    reason = f": {status.reason}" if status.reason else ""
    return RequestError(f"--after {job}: ended without being done ({status.state}{reason}); hpcbrew resume {job} first")


def _unconfirmed(job: str) -> RequestError:
    return RequestError(f"--after {job}: is not yet confirmed by the scheduler; hpcbrew status checks again")
