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
@click.option("--project", help="The project (account) that pays for the trial job.")
@click.option("--queue", help="The queue of the trial job. Without it: the cluster's default.")
@click.option("--cpu", is_flag=True, help="Install the engine without CUDA, though the cluster has GPUs.")
@click.option("--gpu", is_flag=True, help="Install the engine for GPUs, and let the trial job ask for one.")
@click.option("--offline", is_flag=True, help="Collect the engine's wheels here, whatever the cluster can reach.")
@click.option("--no-job", is_flag=True, help="Submit no trial job.")
@click.option("--fingerprint", metavar="SHA256:…", help="The host key's fingerprint, as the site publishes it.")
@click.option("-y", "--yes", is_flag=True, help="Ask nothing: make what is missing, log in with keys only.")
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
    """Make CLUSTER ready for jobs, from a login with a password or a second factor on.

    Four steps: a key of yours is made, or found, and installed there; the scratch folder and the link ~/scratch are
    found, or made; the engine is installed on scratch in a virtual environment of its own; a job of a minute runs.
    Where no node has a GPU, the engine is the one without CUDA; --cpu and --gpu choose by hand.
    No password is written down. It may be run again at any time, also to bring the engine up to date: it says what it
    finds done, and takes nothing of yours away.

    A host that is not known yet has to be confirmed by its key's fingerprint; with --yes, give that with --fingerprint.

    \b
    Examples:
      hpcbrew setup iitd --project ee
      hpcbrew setup mine --yes --fingerprint SHA256:uNiVztksCsDhcc0u9e8BrqZJGIMqmPXmwoP6kkFUs7c
      hpcbrew setup gadi --offline --no-job
    """
    if cpu and gpu:
        raise click.UsageError("--cpu leaves out what --gpu needs: give one of them")
    from hpcbrew.cli.training_view import training  # noqa: PLC0415
    from hpcbrew.clusters import profiles  # noqa: PLC0415
    from hpcbrew.setup import steps, trial_job  # noqa: PLC0415 - slow to import, and --help needs none of these
    from hpcbrew.transports.prompt import Expected, Terminal, Unattended  # noqa: PLC0415

    profile = profiles.load(cluster)
    if gpu and not profile.gpus_per_node:
        raise RequestError(
            f"{cluster}: --gpu: the profile says that no node has a GPU (gpus_per_node: 0): put there how many one "
            "has, or leave out --gpu"
        )
    asks = not yes and sys.stdin.isatty() and sys.stderr.isatty()
    prompter = Terminal() if asks else Unattended()
    person = steps.Person(
        asks=asks,
        prompter=Expected(fingerprint, prompter) if fingerprint else prompter,
        confirm=lambda question: not asks or click.confirm(printable(question), default=True, err=True),
    )
    gpus = True if gpu else False if cpu else None
    known = user_settings.of_cluster(cluster)
    project, queue = project or known.get("project"), queue or known.get("queue")
    transport = steps.run(profile, person, moving, say, gpus=gpus, offline=offline)
    if no_job:
        _remember(cluster, project, queue)
        tell(f"{cluster} is ready; no trial job was run")
        return
    trial_job.run(transport, profile, gpu=gpu, queue=queue, project=project, follow=partial(training, as_json=False))
    _remember(cluster, project, queue)
    tell(f"{cluster} is ready: hpcbrew submit SOLVER --cluster {cluster}")


def _remember(cluster: str, project: str | None, queue: str | None) -> None:
    """What the trial job was charged to, and its queue, are those of the jobs to come."""
    for key, value in (("project", project), ("queue", queue)):
        if value and user_settings.put_for(cluster, key, value):
            tell(f"New jobs on {cluster} have {key} {value} from here on: hpcbrew config unset {key} takes it back")
