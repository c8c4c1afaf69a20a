"""`hpcbrew sweep`."""

from pathlib import Path
from typing import Any

import click

from hpcbrew.cli import submission
from hpcbrew.cli.options import cluster_option


@click.command()
@click.argument("solver", type=submission.PATH)
@click.option("--set", "axes", multiple=True, required=True, metavar="KEY=A,B,…", help="A solver field and its values.")
@cluster_option
@submission.resource_options
@submission.queue_options
@submission.training_options
@submission.sending_options
def command(
    solver: Path,
    axes: tuple[str, ...],
    cluster: str,
    dry_run: bool,
    full: bool,
    follow: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Train SOLVER with every combination of some settings, as one array job.

    Each combination is a job of the array, `ID[1]` and so on, with the requested resources and a folder of its own.
    hpcbrew compare shows them side by side. To vary several fields together, name them in one --set and join their
    values with colons.

    \b
    Examples:
      hpcbrew sweep solver.prototxt --cluster iitd --project ee --gpu --set base_lr=0.1,0.01 --set type=SGD,Nesterov
      hpcbrew sweep solver.prototxt --set type,base_lr,momentum=SGD:0.01:0.9,AdaGrad:0.01:0,Adam:0.001:0.9
      hpcbrew compare lenet --plot sweep.png
      hpcbrew logs -f '13[4]'
    """
    from hpcbrew.cli import sending  # noqa: PLC0415 - slow to import

    sending.sweep(solver, axes, cluster, options, sending.Ways(dry_run, full, follow, as_json))
