"""`hpcbrew cluster list | show`."""

import json

import click
import yaml

from hpcbrew import cluster
from hpcbrew.cli.arguments import complete_cluster, json_option
from hpcbrew.errors import ProfileError


@click.group()
def command() -> None:
    """List clusters and show their profiles.

    \b
    Examples:
      hpcbrew cluster list
      hpcbrew cluster show iitd
    """


@command.command("list")
@json_option
def list_clusters(as_json: bool) -> None:
    """List the clusters that have a profile: your own, and those that ship with hpcbrew."""
    rows = []
    for name, path in cluster.available().items():
        try:
            description = cluster.load(name).description
        except ProfileError as error:
            description = f"error: {error}"
        rows.append({"name": name, "description": description, "profile": str(path)})
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    width = max((len(row["name"]) for row in rows), default=0)
    for row in rows:
        click.echo(f"{row['name']:{width}}  {row['description']}")


@command.command()
@click.argument("name", shell_complete=complete_cluster)
@json_option
def show(name: str, as_json: bool) -> None:
    """Show a cluster's profile as hpcbrew reads it, with what it extends merged in."""
    cluster.load(name)
    values = cluster.values(name)
    if as_json:
        click.echo(json.dumps(values, indent=2))
        return
    click.echo(f"# {cluster.available()[name]}")
    click.echo(yaml.safe_dump(values, sort_keys=False, default_flow_style=None), nl=False)
