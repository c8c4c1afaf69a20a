"""What `rm` and `clean` share: they show jobs with their sizes, and remove them once that is confirmed."""

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

yes_option = click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation.")
dry_run_option = click.option("--dry-run", is_flag=True, help="Show what would be removed; remove nothing.")


def removable(records: Iterable[JobRecord], ledger: Ledger) -> tuple[list[Removal], list[dict[str, object]]]:
    """Returns the jobs that may be removed, and for each of the others, after a warning, the object that `--json`
    prints."""
    sites: Sites = {}
    removals: list[Removal] = []
    refusals: list[dict[str, object]] = []
    for record in records:
        try:
            removals.append(removal.look(record, ledger, sites))
        except HpcbrewError as error:
            warn(f"error: {record.name} ({record.id or record.token}): {error}")
            refusals.append({**record.as_json(), "removed": False, "error": str(error)})
    return removals, refusals


def take_away(
    removals: list[Removal],
    refusals: list[dict[str, object]],
    ledger: Ledger,
    *,
    yes: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Shows what `removable` returned, asks for confirmation, and removes it. The exit status is 2 if any job was
    refused."""
    total = short_size(sum(each.size for each in removals))
    if not as_json:
        for each in removals:
            record = each.record
            contents = f"{count(each.files, 'file')}, {short_size(each.size)}"
            tell(f"{record.name} ({record.id or record.token}), {record.status.state}: {contents}, {record.run_folder}")
    if removals and not dry_run:
        confirm(f"Remove {count(len(removals), 'job')}, {total}?", yes=yes)
        for each in removals:
            removal.remove(each, ledger)
    rows = [
        {**each.record.as_json(), "removed": not dry_run, "files": each.files, "size": each.size} for each in removals
    ]
    if as_json:
        say_json([*rows, *refusals], indent=2)
    elif removals:
        tell(f"Nothing was removed; it would be {total}" if dry_run else f"Removed: {total}")
    if refusals:
        raise SystemExit(2)


def confirm(question: str, *, yes: bool) -> None:
    """Asks for confirmation unless `yes`. Raises RequestError if there is no terminal to ask on, and click.Abort if the
    answer is no."""
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise RequestError(
            "this removes files for good, and there is no terminal to ask on: give --yes, or --dry-run to look"
        )
    click.confirm(question, default=False, abort=True, err=True)
