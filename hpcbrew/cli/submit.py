"""`hpcbrew submit`."""

from pathlib import Path
from typing import Any

import click

from hpcbrew.cli import submission
from hpcbrew.cli.options import cluster_option


@click.command()
@click.argument("solver", type=submission.PATH)
@cluster_option
@submission.resource_options
@submission.queue_options
@submission.training_options
@submission.chain_options
@click.option(
    "--engine",
    type=click.Choice(["own", "module"]),
    default="own",
    help="Train with hpcbrew's engine (own) or with the site's Caffe module.",
)
@click.option("--resume", type=submission.PATH, help="Continue from this .solverstate.")
@click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Set a solver field for this job.")
@submission.sending_options
def command(solver: Path, cluster: str, dry_run: bool, full: bool, follow: bool, as_json: bool, **options: Any) -> None:
    """Submit SOLVER, a Caffe solver prototxt, as a job.

    The nets, databases, means, weights and lists are found by following the solver. The cluster receives copies of the
    definitions with their paths rewritten; your own files are not changed. Data named by an absolute path that does
    not exist here are expected on the cluster and used from there.

    A job writes a snapshot and stops before its walltime is up; hpcbrew resume continues from it. With --chain or
    --until-done, the next job is submitted automatically and starts where this one stopped. A training that has failed
    twice at the same place is not tried again.

    \b
    Examples:
      hpcbrew submit solver.prototxt --cluster local --follow
      hpcbrew submit solver.prototxt --cluster iitd --project ee --gpu --gpu-type V100 --walltime 12h
      hpcbrew submit solver.prototxt --cluster iitd --project ee --gpu --dry-run
      hpcbrew submit solver.prototxt --cluster local --set base_lr=0.001 --set max_iter=500
      hpcbrew submit solver.prototxt --cluster iitd --project ee --gpu --walltime 24h --until-done
      hpcbrew submit solver.prototxt --cluster iitd --project ee --gpu --engine module
      hpcbrew submit finetune.prototxt --cluster iitd --project ee --gpu --after lenet
    """
    from hpcbrew.cli import sending  # noqa: PLC0415 - slow to import

    sending.submit(solver, cluster, options, sending.Ways(dry_run, full, follow, as_json))
