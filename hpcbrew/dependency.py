"""`--after JOB`: which of the scheduler's jobs a new one has to wait for."""

from hpcbrew import again, watch
from hpcbrew.address import Address
from hpcbrew.errors import RequestError
from hpcbrew.job import JobState
from hpcbrew.ledger import Ledger


def after(job: str, address: Address, ledger: Ledger) -> str | None:
    """The id to depend on; None where that job is done already: the scheduler may have forgotten it.

    Raises RequestError where it can never end well, or runs elsewhere.
    """
    record = ledger.find(job)
    if (record.address.cluster, record.address.host) != (address.cluster, address.host):
        raise RequestError(f"--after {job}: runs on {record.cluster}, and a job waits only for one of its own cluster")
    site = watch.reach(record.address)
    seen = watch.look(site, [record], ledger)[0]
    standing = seen.record.standing
    if standing.state is JobState.DONE:
        return None
    if standing.state.final:
        why = f": {standing.reason}" if standing.reason else ""
        raise RequestError(f"--after {job}: ended and is not done ({standing.state}{why}); hpcbrew resume {job} first")
    if seen.record.id is None:
        raise RequestError(f"--after {job}: is not yet confirmed by the scheduler; hpcbrew status looks again")
    if again.described(record, site.transport)["links"] != 1:
        raise RequestError(
            f"--after {job}: is a chain of jobs, and PBS can wait for one job only: submit this one when it is done"
        )
    return seen.record.id
