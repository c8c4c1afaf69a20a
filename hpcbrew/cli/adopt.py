"""`hpcbrew adopt`."""

import time

import click

from hpcbrew.cli.options import cluster_option, json_option, past_time
from hpcbrew.cli.output import say_json, tell, warn
from hpcbrew.clusters import profiles
from hpcbrew.track import adopt as adopting
from hpcbrew.track import refresh
from hpcbrew.track.ledger import Ledger
from hpcbrew.units import count


@click.command()
@cluster_option
@click.option("--since", callback=past_time, default=None, metavar="TIME", help="Only jobs since then: 30d, or a date.")
@click.option("--dry-run", is_flag=True, help="Show the jobs without adopting them.")
@json_option
def command(cluster: str, since: float | None, dry_run: bool, as_json: bool) -> None:
    """Take over your jobs on a cluster that were submitted from another machine.

    Each run folder on the cluster describes its job. Once adopted, a job can be used here with status, logs, fetch,
    cancel and resume.

    \b
    Examples:
      hpcbrew adopt --cluster iitd
      hpcbrew adopt --cluster iitd --since 7d --dry-run
      hpcbrew status --all
    """
    profile, ledger = profiles.load(cluster), Ledger()
    if dry_run:
        records = adopting.unknown(profile, refresh.reach(profile.address), ledger, warn, since or 0)
    else:
        records = [tracked.record for tracked in adopting.adopt(profile, ledger, warn, since or 0)]
    if as_json:
        say_json([record.as_json() for record in records], indent=2)
        return
    for record in records:
        submitted = time.strftime("%F %H:%M", time.localtime(record.submitted))
        state = f"submitted {submitted}" if dry_run else f"{record.status.state} on {record.cluster}"
        tell(f"{record.id}  {record.name}, {state}")
    if not records:
        period = " of that time" if since else ""
        tell(f"{cluster} has no jobs of yours{period} that are not known here already")
    elif dry_run:
        tell(f"{count(len(records), 'job')} would be adopted; none was, since this is a dry run")
