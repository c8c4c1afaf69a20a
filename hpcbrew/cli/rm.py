"""`hpcbrew rm`."""

import click

from hpcbrew.cli import removing
from hpcbrew.cli.options import complete_job, json_option
from hpcbrew.track.ledger import Ledger


@click.command()
@click.argument("jobs", nargs=-1, required=True, metavar="JOB...", shell_complete=complete_job)
@removing.dry_run_option
@removing.yes_option
@json_option
def command(jobs: tuple[str, ...], dry_run: bool, yes: bool, as_json: bool) -> None:
    """Remove jobs that have ended: from the list, and their run folders on the cluster with all models in them.

    You first see each job with its size, and are asked to confirm. A job is kept if it has not ended or if another job
    continues it. What hpcbrew fetch has downloaded stays, and so do uploaded data: hpcbrew clean --data removes those
    that no job needs.

    \b
    Examples:
      hpcbrew rm lenet
      hpcbrew rm --dry-run 12.pbshpc 13.pbshpc
    """
    ledger = Ledger()
    records = dict.fromkeys(ledger.find(job) for job in jobs)
    removing.take_away(*removing.removable(records, ledger), ledger, yes=yes, dry_run=dry_run, as_json=as_json)
