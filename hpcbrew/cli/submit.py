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
    help="hpcbrew's engine, or the site's Caffe module.",
)
@click.option("--resume", type=submission.PATH, help="Go on from this .solverstate.")
@click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Change a solver's field for this job.")
@submission.sending_options
def command(solver: Path, cluster: str, dry_run: bool, full: bool, follow: bool, as_json: bool, **options: Any) -> None:
    """Submit SOLVER, a Caffe solver prototxt, as a job.

    Its nets, databases, means, weights and lists are found from the solver. The cluster gets copies of the definitions
    with the paths in them rewritten; your own files stay as they are. Data named by an absolute path that is not here
    are used where the cluster has them.

    A job leaves with a snapshot before its walltime is up: hpcbrew resume goes on from there. With --chain or
    --until-done it goes on by itself: the next job starts where this one left. What has failed twice at the same place
    is not tried again.

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
