"""What `rm` and `clean` have in common: jobs are shown with their sizes, and taken away once that is confirmed."""

import sys
from collections.abc import Iterable

import click

from engine.units import short_size
from hpcbrew.cli.output import say_json, tell, warn
from hpcbrew.errors import HpcbrewError, RequestError
from hpcbrew.job import JobRecord
from hpcbrew.track import removal
from hpcbrew.track.control import Sites
from hpcbrew.track.ledger import Ledger
from hpcbrew.track.removal import Removal
from hpcbrew.units import count

yes_option = click.option("-y", "--yes", is_flag=True, help="Ask nothing.")
dry_run_option = click.option("--dry-run", is_flag=True, help="Show what would be taken away; take nothing.")


def removable(records: Iterable[JobRecord], ledger: Ledger) -> tuple[list[Removal], list[dict[str, object]]]:
    """Those that may be taken away; and of the others, which are told of, the objects that `--json` prints."""
    sites: Sites = {}
    found: list[Removal] = []
    kept: list[dict[str, object]] = []
    for record in records:
        try:
            found.append(removal.look(record, ledger, sites))
        except HpcbrewError as refused:
            warn(f"error: {record.name} ({record.id or record.token}): {refused}")
            kept.append({**record.as_json(), "removed": False, "error": str(refused)})
    return found, kept


def take_away(
    found: list[Removal], kept: list[dict[str, object]], ledger: Ledger, *, yes: bool, dry_run: bool, as_json: bool
) -> None:
    """Shows what `removable` gave, asks, and takes it away. The exit status is 2 where one was refused."""
    total = short_size(sum(each.size for each in found))
    if not as_json:
        for each in found:
            record = each.record
            what = f"{count(each.files, 'file')}, {short_size(each.size)}"
            tell(f"{record.name} ({record.id or record.token}), {record.status.state}: {what}, {record.run_folder}")
    if found and not dry_run:
        confirm(f"Take away {count(len(found), 'job')}, {total}?", yes=yes)
        for each in found:
            removal.remove(each, ledger)
    done = [{**each.record.as_json(), "removed": not dry_run, "files": each.files, "size": each.size} for each in found]
    if as_json:
        say_json([*done, *kept], indent=2)
    elif found:
        tell(f"Nothing was taken away; it would be {total}" if dry_run else f"Taken away: {total}")
    if kept:
        raise SystemExit(2)


def confirm(question: str, *, yes: bool) -> None:
    """Raises RequestError where nobody can be asked, and Abort where the answer is no."""
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise RequestError("takes files away for good, and nobody can be asked here: say --yes, or --dry-run to look")
    click.confirm(question, default=False, abort=True, err=True)
