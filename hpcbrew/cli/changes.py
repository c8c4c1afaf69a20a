"""What `cancel`, `hold` and `release` share: several jobs, one outcome each."""

from collections.abc import Callable

from hpcbrew.cli.output import say_json, tell, warn
from hpcbrew.errors import HpcbrewError
from hpcbrew.job import JobRecord
from hpcbrew.track.control import Sites
from hpcbrew.track.ledger import Ledger

Change = Callable[[JobRecord, Ledger, Sites], str]


def change(jobs: tuple[str, ...], action: Change, *, as_json: bool) -> None:
    """Applies `action` to each job and prints the outcome. If it fails for a job, the others still follow, and the exit
    status is 2.

    Logs in to each cluster only once, however many jobs there are.
    """
    ledger, sites = Ledger(), Sites()
    troubles = 0
    outcomes: list[dict[str, object]] = []
    for record in [ledger.find(job) for job in jobs]:
        outcome = error = None
        try:
            outcome = action(record, ledger, sites)
        except HpcbrewError as refused:
            error = str(refused)
            troubles += 1
            warn(f"error: {record.name} ({record.id or record.token}): {error}")
        outcomes.append({**ledger.find(record.token).as_json(), "outcome": outcome, "error": error})
        if outcome and not as_json:
            tell(f"{record.name} ({record.id or record.token}): {outcome}")
    if as_json:
        say_json(outcomes, indent=2)
    if troubles:
        raise SystemExit(2)
