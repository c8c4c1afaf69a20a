"""`hpcbrew clean`."""

import time

import click

from engine.units import short_size
from hpcbrew.cli import removing
from hpcbrew.cli.options import cluster_option, json_option, past_time
from hpcbrew.cli.output import say, say_json, tell
from hpcbrew.clusters import profiles
from hpcbrew.track import refresh, unused_data
from hpcbrew.track.ledger import Ledger
from hpcbrew.units import count


@click.command()
@cluster_option
@click.option(
    "--before",
    callback=past_time,
    default="30d",
    show_default=True,
    metavar="TIME",
    help="Remove jobs submitted before that time.",
)
@click.option("--data", is_flag=True, help="Remove data that no job needs, instead of jobs.")
@removing.dry_run_option
@removing.yes_option
@json_option
def command(cluster: str, before: float, data: bool, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Remove old jobs that have ended, or with --data the uploaded data that no job on the cluster needs.

    You first see what would be removed, with its size, and are asked to confirm. TIME is an age like 30d or 12h, or a
    date. Data count as needed while any run folder on the cluster names them, including those of jobs from other
    machines, and for a day after they were sent. Submit nothing to the cluster in the meantime.

    \b
    Examples:
      hpcbrew clean --before 90d --dry-run
      hpcbrew clean --cluster iitd --data
    """
    profile, ledger = profiles.load(cluster), Ledger()
    if not data:
        jobs = [r for r in ledger.all() if r.cluster == cluster and r.submitted < before and r.status.state.final]
        removing.take_away(*removing.removable(jobs, ledger), ledger, yes=yes, dry_run=dry_run, as_json=as_json)
        if not jobs and not as_json:
            date = time.strftime("%F %R", time.localtime(before))
            tell(f"{cluster}: there are no ended jobs submitted before {date}")
        return
    site = refresh.reach(profile.address)
    unused = unused_data.find(profile, site, ledger)
    total = short_size(sum(unused.sizes.values()))
    if not as_json:
        for name, size in unused.sizes.items():
            say(f"{short_size(size):>10}  {unused.folder / name}")
        tell(f"{cluster}: {count(len(unused.sizes), 'item')} of data that no job needs, {total}")
    if unused.sizes and not dry_run:
        removing.confirm(f"Remove {count(len(unused.sizes), 'item')}, {total}?", yes=yes)
        unused_data.remove(unused, site)
    if as_json:
        rows = [{"path": str(unused.folder / name), "size": size} for name, size in unused.sizes.items()]
        say_json({"removed": not dry_run, "data": rows}, indent=2)
    elif unused.sizes:
        tell(f"Nothing was removed; it would be {total}" if dry_run else f"Removed: {total}")
