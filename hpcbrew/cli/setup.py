"""`hpcbrew setup`."""

import sys
from functools import partial

import click

from engine.printable import printable
from hpcbrew.cli.options import complete_cluster
from hpcbrew.cli.output import say, tell
from hpcbrew.cli.transfer_bar import moving
from hpcbrew.clusters import user_settings
from hpcbrew.errors import RequestError


@click.command()
@click.argument("cluster", shell_complete=complete_cluster)
@click.option("--project", help="The project (account) to charge for the trial job.")
@click.option("--queue", help="The queue of the trial job. Default: the cluster's default queue.")
@click.option("--cpu", is_flag=True, help="Install the engine without CUDA even if the cluster has GPUs.")
@click.option("--gpu", is_flag=True, help="Install the engine for GPUs, and request one for the trial job.")
@click.option("--offline", is_flag=True, help="Download the engine's wheels here and send them to the cluster.")
@click.option("--no-job", is_flag=True, help="Do not submit a trial job.")
@click.option("--fingerprint", metavar="SHA256:…", help="The host key's fingerprint as the site publishes it.")
@click.option("-y", "--yes", is_flag=True, help="Ask nothing: create what is missing, log in with keys only.")
def command(
    cluster: str,
    project: str | None,
    queue: str | None,
    cpu: bool,
    gpu: bool,
    offline: bool,
    no_job: bool,
    fingerprint: str | None,
    yes: bool,
) -> None:
    """Prepare CLUSTER for jobs, starting from a login with a password or a second factor.

    There are four steps: find or create an SSH key and install it on the cluster; find or create the scratch folder and
    the link ~/scratch; install the engine on scratch, in a virtual environment of its own; run a trial job of one
    minute. If no node has a GPU, the engine is installed without CUDA; --cpu and --gpu override that choice.
    No password is stored. You may repeat setup at any time, also to update the engine: it reports what is already done,
    and removes nothing of yours.

    You confirm an unknown host by its key's fingerprint; with --yes, pass the fingerprint with --fingerprint.

    \b
    Examples:
      hpcbrew setup iitd --project ee
      hpcbrew setup mine --yes --fingerprint SHA256:uNiVztksCsDhcc0u9e8BrqZJGIMqmPXmwoP6kkFUs7c
      hpcbrew setup gadi --offline --no-job
    """
    if cpu and gpu:
        raise click.UsageError("--cpu and --gpu exclude each other: give one of them")
    from hpcbrew.cli.training_view import training  # noqa: PLC0415
    from hpcbrew.clusters import profiles  # noqa: PLC0415
    from hpcbrew.setup import steps, trial_job  # noqa: PLC0415 - slow to import, and --help needs none of these
    from hpcbrew.transports.prompt import Expected, Terminal, Unattended  # noqa: PLC0415

    profile = profiles.load(cluster)
    if gpu and not profile.gpus_per_node:
        raise RequestError(
            f"{cluster}: --gpu: the profile says that nodes have no GPUs (gpus_per_node: 0): correct the number there, "
            "or leave out --gpu"
        )
    asks = not yes and sys.stdin.isatty() and sys.stderr.isatty()
    prompter = Terminal() if asks else Unattended()
    person = steps.Person(
        asks=asks,
        prompter=Expected(fingerprint, prompter) if fingerprint else prompter,
        confirm=lambda question: not asks or click.confirm(printable(question), default=True, err=True),
    )
    gpus = True if gpu else False if cpu else None
    settings = user_settings.of_cluster(cluster)
    project, queue = project or settings.get("project"), queue or settings.get("queue")
    transport = steps.run(profile, person, moving, say, gpus=gpus, offline=offline)
    if no_job:
        _remember(cluster, project, queue)
        tell(f"{cluster} is ready; no trial job was run")
        return
    trial_job.run(transport, profile, gpu=gpu, queue=queue, project=project, follow=partial(training, as_json=False))
    _remember(cluster, project, queue)
    tell(f"{cluster} is ready: hpcbrew submit SOLVER --cluster {cluster}")


def _remember(cluster: str, project: str | None, queue: str | None) -> None:
    """Makes the trial job's project and queue the defaults for later jobs."""
    for key, value in (("project", project), ("queue", queue)):
        if value and user_settings.put_for(cluster, key, value):
            tell(f"From now on, jobs on {cluster} use {key} {value}; hpcbrew config unset {key} undoes this")
