"""`hpcbrew submit`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from hpcbrew import cluster as clusters
from hpcbrew import follow as following
from hpcbrew import limits, machine, manifest, overrides, prepare, preview, quantity, watch
from hpcbrew.cli.arguments import cluster_option, json_option
from hpcbrew.errors import RequestError
from hpcbrew.job import JobRequest
from hpcbrew.ledger import Ledger
from hpcbrew.moving import moving
from hpcbrew.submit import submit


def _parsed(parse: Callable[[str], int]) -> Any:
    """A callback for click that reads a time or a size."""

    def callback(ctx: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
        try:
            return None if value is None else parse(value)
        except ValueError as error:
            raise click.BadParameter(str(error)) from None

    return callback


POSITIVE = click.IntRange(min=1)
PATH = click.Path(path_type=Path)


@click.command()
@click.argument("solver", type=PATH)
@cluster_option
@click.option("--name", help="The job's name. Without it: the net's.")
@click.option("--nodes", type=POSITIVE, default=1, help="How many nodes.", show_default=True)
@click.option("--gpu", is_flag=True, help="One GPU on each node.")
@click.option("--gpus-per-node", type=POSITIVE, metavar="N", help="N GPUs on each node.")
@click.option("--gpu-type", metavar="TYPE", help="Which kind of GPU: see hpcbrew cluster show.")
@click.option("--cpus", type=POSITIVE, metavar="N", help="N cores on each node.")
@click.option("--mem", callback=_parsed(quantity.size), metavar="SIZE", help="Memory of each node, as 24G.")
@click.option("--walltime", callback=_parsed(quantity.seconds), metavar="TIME", help="HH:MM:SS, or 12h, or 90m.")
@click.option("--queue", help="The queue. Without it: the cluster's default.")
@click.option("--project", help="The project (account) that pays.")
@click.option("--weights", type=PATH, multiple=True, help="Start from this .caffemodel. May be given several times.")
@click.option("--resume", type=PATH, help="Go on from this .solverstate.")
@click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Change a solver's field for this job.")
@click.option("--dry-run", is_flag=True, help="Show script, files and commands; connect to nothing, submit nothing.")
@click.option("--follow", is_flag=True, help="Stay and show the training until the job ends. Ctrl-C lets it go on.")
@json_option
def command(solver: Path, cluster: str, dry_run: bool, follow: bool, as_json: bool, **options: Any) -> None:
    """Submit SOLVER, a Caffe solver prototxt, as a job.

    Its nets, databases, means, weights and lists are found from the solver. The cluster gets copies of the definitions
    with the paths in them rewritten; your own files stay as they are.

    \b
    Examples:
      hpcbrew submit solver.prototxt --cluster local --follow
      hpcbrew submit solver.prototxt --cluster iitd --project ee --gpu --gpu-type V100 --walltime 12h
      hpcbrew submit solver.prototxt --cluster iitd --project ee --gpu --dry-run
      hpcbrew submit solver.prototxt --cluster local --set base_lr=0.001 --set max_iter=500
    """
    profile = clusters.load(cluster)
    request = _request(solver, options)
    settled = limits.settle(request, profile, machine.here())
    plan = prepare.plan(request, profile, manifest.collect(request), settled)
    if dry_run:
        click.echo(json.dumps(preview.as_json(plan), indent=2) if as_json else preview.as_text(plan))
        return
    if plan.lacks:
        raise RequestError(plan.lacks)
    site, ledger = watch.reach(plan.address), Ledger()
    with moving("sending", sum(upload.size for upload in plan.data)) as progress:
        record = submit(plan, str(solver.absolute()), site.transport, site.scheduler, ledger, progress)
    if follow:
        raise SystemExit(following.training(record, site, ledger, as_json=as_json))
    if as_json:
        click.echo(json.dumps(record.as_json(), indent=2))
        return
    click.echo(f"{record.id}  {record.name}, queued on {record.cluster}")
    click.echo(f"Run folder: {record.run_folder}")
    click.echo(f"Next: hpcbrew status, hpcbrew logs -f {record.id}, hpcbrew cancel {record.id}")


def _request(solver: Path, options: dict[str, Any]) -> JobRequest:
    gpu, gpus, assignments = options.pop("gpu"), options.pop("gpus_per_node"), options.pop("assignments")
    wanted = gpus or (1 if gpu or options["gpu_type"] else 0)
    return JobRequest(
        solver=solver, gpus_per_node=wanted, overrides=tuple(overrides.split(a) for a in assignments), **options
    )
