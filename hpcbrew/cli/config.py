"""`hpcbrew config set | unset | show`."""

import click

from hpcbrew.cli.options import complete_cluster, json_option
from hpcbrew.cli.output import say, say_json
from hpcbrew.clusters import user_settings


def complete_value(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Clusters, for the one key whose values can be listed."""

    return complete_cluster(ctx, parameter, incomplete) if ctx.params.get("key") == "cluster" else []


@click.group()
def command() -> None:
    """Set what commands use when an option is not given.

    \b
    Examples:
      hpcbrew config set cluster iitd
      hpcbrew config show
      hpcbrew config unset cluster
    """


@command.command("set")
@click.argument("key", type=click.Choice(list(user_settings.KEYS)))
@click.argument("value", shell_complete=complete_value)
def set_value(key: str, value: str) -> None:
    """Set KEY to VALUE.

    \b
    Keys:
      cluster  the cluster that commands use when --cluster is not given
    """
    from hpcbrew.clusters import profiles  # noqa: PLC0415 - slow to import, and not needed by the other commands here

    if key == "cluster":
        profiles.load(value)
    user_settings.write({**user_settings.read(), key: value})
    say(f"{key}: {value}  ({user_settings.path()})")


@command.command()
@click.argument("key", type=click.Choice(list(user_settings.KEYS)))
def unset(key: str) -> None:
    """Take a setting back."""
    values = user_settings.read()
    if values.pop(key, None) is None:
        say(f"{key}: was not set")
        return
    user_settings.write(values)
    say(f"{key}: not set any more")


@command.command()
@json_option
def show(as_json: bool) -> None:
    """Show all settings."""
    values = user_settings.read()
    if as_json:
        say_json(values, indent=2)
        return
    for key, meaning in user_settings.KEYS.items():
        say(f"{key}: {values.get(key, 'not set')}  # {meaning}")
