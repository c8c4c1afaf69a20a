"""What `submit`, `resume` and `sweep` have in common: their options, and the way of a plan to the cluster."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from engine.host import login_node
from hpcbrew import units
from hpcbrew.cli import preview
from hpcbrew.cli.options import complete_job, json_option
from hpcbrew.cli.output import say, say_json, warn
from hpcbrew.cli.training_view import training
from hpcbrew.cli.transfer_bar import moving
from hpcbrew.clusters.profiles import Cluster
from hpcbrew.errors import RequestError
from hpcbrew.job import After, JobPlan, JobRequest
from hpcbrew.plan import overrides
from hpcbrew.submit import dependency
from hpcbrew.submit.interrupts import Interrupted, put_off
from hpcbrew.submit.submit import as_written_down, submit
from hpcbrew.track import refresh
from hpcbrew.track.ledger import Ledger

POSITIVE = click.IntRange(min=1)
PATH = click.Path(path_type=Path)
ADDRESS = re.compile(r"[\w.+%-]+(@[\w.-]+)?(,[\w.+%-]+(@[\w.-]+)?)*")


def _parsed(parse: Callable[[str], int]) -> Any:
    """A callback for click that reads a time or a size."""

    def callback(ctx: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
        try:
            return None if value is None else parse(value)
        except ValueError as error:
            raise click.BadParameter(str(error)) from None

    return callback


def _all(*options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Several options as one decorator, shown in this order."""

    def decorate(function: Any) -> Any:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


resource_options = _all(
    click.option("--name", help="The job's name. Without it: the net's."),
    click.option("--nodes", type=POSITIVE, default=1, metavar="N", help="How many nodes.", show_default=True),
    click.option("--gpu", is_flag=True, help="One GPU on each node."),
    click.option("--gpus-per-node", type=POSITIVE, metavar="N", help="N GPUs on each node."),
    click.option("--gpu-type", metavar="TYPE", help="Which kind of GPU: see hpcbrew cluster show."),
    click.option("--cpus", type=POSITIVE, metavar="N", help="N cores on each node."),
    click.option("--mem", callback=_parsed(units.size), metavar="SIZE", help="Memory of each node, as 24G."),
    click.option(
        "--weights", type=PATH, multiple=True, help="Start from this .caffemodel. May be given several times."
    ),
)

queue_options = _all(
    click.option("--walltime", callback=_parsed(units.seconds), metavar="TIME", help="HH:MM:SS, or 12h, or 90m."),
    click.option("--queue", help="The queue. Without it: the cluster's default."),
    click.option("--project", help="The project (account) that pays."),
    click.option("--after", metavar="JOB", shell_complete=complete_job, help="Start when that job has ended well."),
    click.option("--mail", metavar="ADDRESS", help="Let PBS write there when the job ends."),
)

chain_options = _all(
    click.option("--chain", type=click.IntRange(min=2), metavar="N", help="Go on in up to N jobs, from snapshots."),
    click.option("--until-done", is_flag=True, help="Go on in as many jobs as it takes."),
)


sending_options = _all(
    click.option("--dry-run", is_flag=True, help="Show script, files and commands; submit nothing."),
    click.option("--follow", is_flag=True, help="Stay and show the training until it ends. Ctrl-C lets it go on."),
    json_option,
)


def request(solver: Path, profile: Cluster, options: dict[str, Any], *, ask: bool = True) -> JobRequest:
    """What the options of this module ask for. `ask`: whether the cluster may be asked, as a dry run does not.

    Raises RequestError.
    """
    chain, until_done = options.pop("chain", None), options.pop("until_done", False)
    if chain and until_done:
        raise RequestError("--chain and --until-done: give one of them")
    mail, after = options.pop("mail"), options.pop("after")
    if mail and (profile.scheduler == "local" or not ADDRESS.fullmatch(mail)):
        local = profile.scheduler == "local"
        why = "the queue on this machine sends no mail" if local else "is not a valid address of mail"
        raise RequestError(f"--mail {mail}: {why}")
    waits_for, unknown = _dependency(after, profile, ask=ask) if after else (None, "")
    gpu, gpus = options.pop("gpu", False), options.pop("gpus_per_node", None)
    return JobRequest(
        solver=solver,
        gpus_per_node=gpus or (1 if gpu or options.get("gpu_type") else 0),
        overrides=tuple(overrides.split(a) for a in options.pop("assignments", ())),
        links=None if until_done else chain or 1,
        mail=mail,
        after=waits_for,
        unknown=(unknown,) if unknown else (),
        **options,
    )


def _dependency(job: str, profile: Cluster, *, ask: bool) -> tuple[After | None, str]:
    if ask:
        return dependency.after(job, profile.address, Ledger()), ""
    return dependency.as_last_heard(job, profile.address, Ledger())


def send(plan: JobPlan, solver: str, *, dry_run: bool, follow: bool, as_json: bool) -> None:
    """Shows a plan, or carries it out; then follows the job, or says what there is to do next."""
    if dry_run:
        if as_json:
            say_json(preview.as_json(plan), indent=2)
        else:
            say(preview.as_text(plan))
        return
    if plan.missing:
        raise RequestError(plan.missing)
    if plan.address.scheduler == "local":
        login_node.refuse()
        if find_spec("jax") is None:
            raise RequestError(
                "jobs on this machine run in this Python, and it has no JAX: pip install 'hpcbrew[engine]'"
            )
    for words in plan.unknown:
        warn(f"not known: {words}")
    with _told(plan.token):
        site, ledger = refresh.reach(plan.address), Ledger()
        with moving("sending", sum(upload.size for upload in plan.data)) as progress:
            record = submit(plan, solver, site.transport, site.scheduler, ledger, progress, warn)
        if follow:
            raise SystemExit(training(record, site, ledger, as_json=as_json))
        if as_json:
            say_json(record.as_json(), indent=2)
            return
        say(f"{record.id}  {record.name}, queued on {record.cluster}")
        say(f"Run folder: {record.run_folder}")
        say(f"Next: hpcbrew status, hpcbrew logs -f {record.id}, hpcbrew cancel {record.id}")


@contextmanager
def _told(token: str) -> Iterator[None]:
    """After Ctrl-C it is said what came of the job, by the ledger where nobody has said it yet."""
    try:
        yield
    except Interrupted:
        raise
    except KeyboardInterrupt:
        with put_off():
            warn(as_written_down(token, Ledger()))
        raise Interrupted from None
