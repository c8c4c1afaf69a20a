"""`hpcbrew config set | unset | show`."""

import click

from engine import help_text
from hpcbrew.cli.options import complete_cluster, json_option
from hpcbrew.cli.output import say, say_json, tell, wrapped
from hpcbrew.clusters import user_settings
from hpcbrew.clusters.user_settings import CLUSTER, CLUSTERS, KEYS, OF_CLUSTER, PARSERS
from hpcbrew.errors import RequestError
from hpcbrew.job import WORD, WORDS

key_argument = click.argument("key", type=click.Choice([*KEYS, *OF_CLUSTER]), metavar="KEY")
of_option = click.option(
    "--cluster", "name", shell_complete=complete_cluster, help="The cluster to set it for. Default: the current one."
)


def complete_value(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Returns the clusters for the key `cluster`, the only one whose values can be listed."""
    return complete_cluster(ctx, parameter, incomplete) if ctx.params.get("key") == CLUSTER else []


@click.group(cls=help_text.Group)
def command() -> None:
    """Set defaults for options: the cluster, and for each cluster the project, queue, walltime and so on.

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
      cluster   the cluster for commands without --cluster

    These keys are set for one cluster (--cluster; default: the current one). Each is the default of the option of the
    same name:

    \b
      project   the project to charge
      queue     the queue of new jobs
      walltime  the walltime of new jobs
      mem       the memory per node of new jobs
      gpu-type  the GPU model for jobs that request GPUs
      mail      the address to which PBS sends mail when a job ends
    """
    from hpcbrew.clusters import profiles  # noqa: PLC0415 - slow to import, and only this command needs it

    if key == CLUSTER:
        profiles.load(value)
        user_settings.put_default(value)
        tell(f"{key}: {value}  ({user_settings.path()})")
        return
    profile = profiles.load(name or user_settings.default_cluster())
    try:
        PARSERS.get(key, str)(value)
    except ValueError as error:
        raise RequestError(f"{key}: {error}") from None
    if not WORD.fullmatch(value):
        raise RequestError(f"{key}: {value!r}: must be {WORDS}")
    for setting, names in (("queue", profile.queues), ("gpu-type", profile.gpu_types)):
        if key == setting and names and value not in names:
            raise RequestError(f"{key}: {profile.name} has none called {value!r}. There are: {', '.join(names)}")
    user_settings.put_for(profile.name, key, value)
    tell(f"{key}: {value}, on {profile.name}  ({user_settings.path()})")


@command.command()
@key_argument
@of_option
def unset(key: str, name: str | None) -> None:
    """Remove a setting."""
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
