"""`hpcbrew config set | unset | show`."""

import click

from engine import help_text
from hpcbrew import units
from hpcbrew.cli.options import complete_cluster, json_option
from hpcbrew.cli.output import say, say_json, tell, wrapped
from hpcbrew.clusters import user_settings
from hpcbrew.clusters.user_settings import CLUSTER, CLUSTERS, KEYS, OF_CLUSTER
from hpcbrew.errors import RequestError
from hpcbrew.job import WORD, WORDS

READ = {"walltime": units.asked_time, "mem": units.asked_size}
"""What must be a time or a size."""

key_argument = click.argument("key", type=click.Choice([*KEYS, *OF_CLUSTER]), metavar="KEY")
of_option = click.option(
    "--cluster", "name", shell_complete=complete_cluster, help="The cluster that it is for. Without it: the one in use."
)


def complete_value(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Clusters, for the one key whose values can be listed."""

    return complete_cluster(ctx, parameter, incomplete) if ctx.params.get("key") == CLUSTER else []


@click.group(cls=help_text.Group)
def command() -> None:
    """Set what commands use when an option is not given: the cluster, and for each cluster project, queue, walltime …

    \b
    Examples:
      hpcbrew config set cluster iitd
      hpcbrew config set project ee
      hpcbrew config set walltime 12h --cluster gadi
      hpcbrew config show
      hpcbrew config unset project
    """


@command.command("set")
@key_argument
@click.argument("value", shell_complete=complete_value)
@of_option
def set_value(key: str, value: str, name: str | None) -> None:
    """Set KEY to VALUE.

    \b
    Keys:
      cluster   the cluster that commands use when --cluster is not given

    Keys of one cluster (--cluster; without it: the one in use), each for the option of its name when that is not given:

    \b
      project   the project that pays
      queue     the queue of new jobs
      walltime  the walltime of new jobs
      mem       the memory of each node of new jobs
      gpu-type  the kind of GPU of jobs that ask for GPUs
      mail      where PBS writes when a job ends
    """
    from hpcbrew.clusters import profiles  # noqa: PLC0415 - slow to import, and not needed by the other commands here

    if key == CLUSTER:
        profiles.load(value)
        user_settings.put_default(value)
        tell(f"{key}: {value}  ({user_settings.path()})")
        return
    profile = profiles.load(name or user_settings.default_cluster())
    try:
        READ.get(key, str)(value)
    except ValueError as error:
        raise RequestError(f"{key}: {error}") from None
    if not WORD.fullmatch(value):
        raise RequestError(f"{key}: {value!r}: must be {WORDS}")
    for setting, there in (("queue", profile.queues), ("gpu-type", profile.gpu_types)):
        if key == setting and there and value not in there:
            raise RequestError(f"{key}: {profile.name} has none called {value!r}. There are: {', '.join(there)}")
    user_settings.put_for(profile.name, key, value)
    tell(f"{key}: {value}, on {profile.name}  ({user_settings.path()})")


@command.command()
@key_argument
@of_option
def unset(key: str, name: str | None) -> None:
    """Take a setting back."""
    if key == CLUSTER:
        was_set = user_settings.put_default(None)
    else:
        was_set = user_settings.put_for(name or user_settings.default_cluster(), key, None)
    tell(f"{key}: {'not set any more' if was_set else 'was not set'}")


@command.command()
@json_option
def show(as_json: bool) -> None:
    """Show all settings."""
    values = user_settings.read()
    if as_json:
        say_json(values, indent=2)
        return
    say(wrapped(f"{CLUSTER}: {values.get(CLUSTER, 'not set')}  # {KEYS[CLUSTER]}"))
    for name, settings in values.get(CLUSTERS, {}).items():
        tell(f"{name}:")
        for key, value in settings.items():
            say(wrapped(f"  {key}: {value}  # {OF_CLUSTER[key]}", indent=4))
