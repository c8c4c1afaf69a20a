"""`--after JOB`: which of the scheduler's jobs a new one has to wait for, and where it is seen whether JOB is done."""

from hpcbrew.address import Address
from hpcbrew.errors import RequestError
from hpcbrew.job import After, JobRecord, JobState, JobStatus
from hpcbrew.track import refresh, run_folder
from hpcbrew.track.ledger import Ledger


def after(job: str, address: Address, ledger: Ledger) -> After | None:
    """What to wait for; None where that job is done already: the scheduler may have forgotten it. Its cluster is asked.

    Raises RequestError where it can never end well, or runs elsewhere.
    """
    record = _of_cluster(job, address, ledger)
    site = refresh.reach(record.address)
    seen = refresh.look(site, [record], ledger)[0]
    status = seen.record.status
    if status.state is JobState.DONE:
        return None
    if status.state.final:
        raise _never_done(job, status)
    if seen.record.id is None:
        raise _unconfirmed(job)
    if run_folder.describe(record, site.transport).is_sequence:
        # The one at work: that which waits behind it may be deleted, and is noted in the run folder anyway.
        return After(seen.live[0] if seen.live else seen.record.id, record.name, str(record.run_folder))
    return After(seen.record.id, record.name)


def as_last_heard(job: str, address: Address, ledger: Ledger) -> tuple[After | None, str]:
    """As `after`, for a dry run: by the ledger alone, which stays as it is. And what the cluster alone could tell, in
    words; nothing where that job is known to be done.
    """
    record = _of_cluster(job, address, ledger)
    status = record.status
    if status.state is JobState.DONE:
        return None, ""
    if status.state.final and status.state is not JobState.LOST:  # a lost one may be found
        raise _never_done(job, status)
    if record.id is None:
        raise _unconfirmed(job)
    unknown = (
        f"--after {job}: {record.cluster} was not asked. {record.name} ({record.id}) was last heard of as "
        f"{status.state}; once it is done, nothing is waited for, and where it is a chain, the script itself looks "
        "whether all of it is done"
    )
    return After(record.id, record.name), unknown


def _of_cluster(job: str, address: Address, ledger: Ledger) -> JobRecord:
    """The job as the ledger has it. Raises RequestError for one that no job of this cluster can wait for."""
    record = ledger.find(job)
    if record.point is not None:
        raise RequestError(f"--after {job}: is one job of an array, and PBS can wait for a whole array only")
    if (record.address.cluster, record.address.host) != (address.cluster, address.host):
        raise RequestError(f"--after {job}: runs on {record.cluster}, and a job waits only for one of its own cluster")
    return record


def _never_done(job: str, status: JobStatus) -> RequestError:
    why = f": {status.reason}" if status.reason else ""
    return RequestError(f"--after {job}: ended and is not done ({status.state}{why}); hpcbrew resume {job} first")


def _unconfirmed(job: str) -> RequestError:
    return RequestError(f"--after {job}: is not yet confirmed by the scheduler; hpcbrew status looks again")
