"""`--after JOB`: which of the scheduler's jobs a new one has to wait for, and where it is seen whether JOB is done."""

from hpcbrew.address import Address
from hpcbrew.errors import RequestError
from hpcbrew.job import After, JobState
from hpcbrew.track import refresh, run_folder
from hpcbrew.track.ledger import Ledger


def after(job: str, address: Address, ledger: Ledger) -> After | None:
    """What to wait for; None where that job is done already: the scheduler may have forgotten it.

    Raises RequestError where it can never end well, or runs elsewhere.
    """
    record = ledger.find(job)
    if record.point is not None:
        raise RequestError(f"--after {job}: is one job of an array, and PBS can wait for a whole array only")
    if (record.address.cluster, record.address.host) != (address.cluster, address.host):
        raise RequestError(f"--after {job}: runs on {record.cluster}, and a job waits only for one of its own cluster")
    site = refresh.reach(record.address)
    seen = refresh.look(site, [record], ledger)[0]
    status = seen.record.status
    if status.state is JobState.DONE:
        return None
    if status.state.final:
        why = f": {status.reason}" if status.reason else ""
        raise RequestError(f"--after {job}: ended and is not done ({status.state}{why}); hpcbrew resume {job} first")
    if seen.record.id is None:
        raise RequestError(f"--after {job}: is not yet confirmed by the scheduler; hpcbrew status looks again")
    if run_folder.describe(record, site.transport).is_sequence:
        # The one at work: that which waits behind it may be deleted, and is noted in the run folder anyway.
        return After(seen.live[0] if seen.live else seen.record.id, record.name, str(record.run_folder))
    return After(seen.record.id, record.name)
