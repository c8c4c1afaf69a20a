"""What `cancel`, `hold` and `release` have in common: several jobs, one outcome each."""

from collections.abc import Callable

from hpcbrew.cli.output import say_json, tell, warn
from hpcbrew.errors import HpcbrewError
from hpcbrew.job import JobRecord
from hpcbrew.track.control import Sites
from hpcbrew.track.ledger import Ledger

Change = Callable[[JobRecord, Ledger, Sites], str]


def change(jobs: tuple[str, ...], action: Change, *, as_json: bool) -> None:
    """Does `action` to each job, and says what came of it. One that fails holds up no other; the exit status is 2.

    However many there are, each cluster is logged in to once.
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
