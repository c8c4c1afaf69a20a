"""`hpcbrew resume`."""

from pathlib import Path
from typing import Any

import click

from hpcbrew.cli import submission
from hpcbrew.cli.options import job_argument
from hpcbrew.clusters import profiles
from hpcbrew.errors import RequestError
from hpcbrew.job import new_token
from hpcbrew.plan import hardware
from hpcbrew.submit import resume
from hpcbrew.track import refresh
from hpcbrew.track.ledger import Ledger


@click.command()
@job_argument()
@submission.queue_options
@submission.chain_options
@click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Change a solver's field from now on.")
@submission.sending_options
def command(job: str, dry_run: bool, follow: bool, as_json: bool, **options: Any) -> None:
    """Go on with a JOB that has ended, in a new job, exactly from its last snapshot.

    The new job has a run folder of its own, the definitions and the resources of the old one, and its data where they
    lie on the cluster already: nothing is sent again.

    \b
    Examples:
      hpcbrew resume lenet
      hpcbrew resume 12.pbshpc --walltime 24h --until-done
      hpcbrew resume lenet --set max_iter=20000
      hpcbrew resume 'lenet[2]'
    """
    ledger = Ledger()
    record = ledger.find(job)
    site = refresh.reach(record.address)
    status = refresh.look(site, [record], ledger)[0].record.status
    if not status.state.final:
        raise RequestError(f"{record.name} ({record.id}) is {status.state}: only what has ended can be resumed")
    profile = profiles.load(record.cluster)
    request = submission.request(Path(record.solver), profile, options)
    plan = resume.plan(resume.read(record, site.transport), request, profile, hardware.here(), new_token())
    submission.send(plan, record.solver, dry_run=dry_run, follow=follow, as_json=as_json)
