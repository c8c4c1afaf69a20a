"""`hpcbrew adopt`."""

import click

from hpcbrew.cli.options import cluster_option, json_option
from hpcbrew.cli.output import say, say_json, warn
from hpcbrew.clusters import profiles
from hpcbrew.track import adopt as adopting
from hpcbrew.track.ledger import Ledger


@click.command()
@cluster_option
@json_option
def command(cluster: str, as_json: bool) -> None:
    """Take up the jobs on a cluster that were submitted from another machine.

    Each run folder there says what its job is. From then on status, logs, fetch, cancel and resume work here too.

    \b
    Examples:
      hpcbrew adopt --cluster iitd
      hpcbrew status --all
    """
    found = [tracked.record for tracked in adopting.adopt(profiles.load(cluster), Ledger(), warn)]
    if as_json:
        say_json([record.as_json() for record in found], indent=2)
        return
    for record in found:
        say(f"{record.id}  {record.name}, {record.status.state} on {record.cluster}")
    if not found:
        say(f"{cluster} has no jobs of yours that are not known here already")
