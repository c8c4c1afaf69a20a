"""`hpcbrew resume`."""

from typing import Any

import click

from hpcbrew.cli import submission
from hpcbrew.cli.options import job_argument


@click.command()
@job_argument()
@submission.node_options
@submission.queue_options
@submission.training_options
@submission.chain_options
@click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Set a solver field from now on.")
@submission.sending_options
def command(job: str, dry_run: bool, full: bool, follow: bool, as_json: bool, **options: Any) -> None:
    """Continue a JOB that has ended, in a new job, exactly from its last snapshot.

    The new job has its own run folder and takes the definitions and resources of the old one, except where an option
    changes them. It uses the data that are already on the cluster: nothing is sent again.

    \b
    Examples:
      hpcbrew resume lenet
      hpcbrew resume 12.pbshpc --walltime 24h --until-done
      hpcbrew resume lenet --mem 48G
      hpcbrew resume lenet --set max_iter=20000
      hpcbrew resume 'lenet[2]'
    """
    from hpcbrew.cli import sending  # noqa: PLC0415 - slow to import

    sending.resume(job, options, sending.Ways(dry_run, full, follow, as_json))
