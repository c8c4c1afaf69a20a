"""`hpcbrew cluster list | show | add | check`."""

import sys
from dataclasses import asdict

import click
import yaml

from engine import help_text
from hpcbrew.cli import tables
from hpcbrew.cli.options import complete_cluster, json_option
from hpcbrew.cli.output import say, say_json, tell, wrapped
from hpcbrew.clusters import profile_files, profile_writer, profiles
from hpcbrew.errors import ProfileError


@click.group(cls=help_text.Group)
def command() -> None:
    """List clusters, show their profiles, add your own, and check whether one can run jobs.

    \b
    Examples:
      hpcbrew cluster list
      hpcbrew cluster show iitd
      hpcbrew cluster add mine --host me@login.example.org --scratch /scratch/me --extends iitd
      hpcbrew cluster check mine
    """


@command.command("list")
@json_option
def list_clusters(as_json: bool) -> None:
    """List the clusters that have a profile: your own and those that ship with hpcbrew."""
    rows = []
    for name, path in profile_files.available().items():
        try:
            profile = profiles.load(name)
            host, description = profile.host or "", profile.description
        except ProfileError as error:
            host, description = "", f"error: {error}"
        rows.append({"name": name, "host": host, "description": description, "profile": str(path)})
    if as_json:
        say_json(rows, indent=2)
        return
    tables.show(("NAME", "HOST", "NOTE"), [(row["name"], row["host"], row["description"]) for row in rows])


@command.command()
@click.argument("name", shell_complete=complete_cluster)
@json_option
def show(name: str, as_json: bool) -> None:
    """Show a cluster's profile as hpcbrew reads it, merged with the profile that it extends."""
    profiles.load(name)
    values = profiles.values(name)
    if as_json:
        say_json(values, indent=2)
        return
    say(f"# {profile_files.available()[name]}")
    say(yaml.safe_dump(values, sort_keys=False, default_flow_style=None), end="")


@command.command()
@click.argument("name")
@click.option("--host", help="Anything ssh accepts: an alias from your ssh configuration, or [USER@]HOST.")
@click.option("--scratch", metavar="PATTERN", help="Its folder for jobs and data, such as ~/scratch or $SCRATCH.")
@click.option(
    "--scheduler",
    type=click.Choice(list(profile_writer.BASES)),
    default="pbs",
    show_default=True,
    help="What runs jobs: PBS, or the queue of hpcbrew on this machine.",
)
@click.option(
    "--extends", metavar="CLUSTER", shell_complete=complete_cluster, help="Take everything else from this profile."
)
@click.option(
    "--transport",
    type=click.Choice(["ssh", "openssh", "local"]),
    help="How to reach it: openssh uses the system's ssh program; local is for running hpcbrew on the login node.",
)
@click.option("--queue", help="Default queue for jobs.")
@click.option("--project", help="Default project (account) for jobs.")
@click.option("--force", is_flag=True, help="Overwrite an existing profile of that name.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask questions.")
def add(name: str, scheduler: str, extends: str | None, force: bool, yes: bool, **options: str | None) -> None:
    """Write a profile NAME to your own profile folder, after checking it.

    On a terminal, you are asked for what is missing.

    \b
    Examples:
      hpcbrew cluster add padum --host hpc --scratch ~/scratch --extends iitd --project ee
      hpcbrew cluster add mine --host me@login.example.org --scratch '$SCRATCH' --queue gpu --yes
      hpcbrew cluster add here --transport local --scratch /scratch/me --yes
    """
    profile_writer.target(name, force=force)  # before anything is asked
    if not yes and sys.stdin.isatty() and sys.stderr.isatty():
        options |= _ask(name, scheduler, options)
    values = profile_writer.compose(name, scheduler, extends, options)
    needs_host = options["transport"] != "local" and values["extends"] == profile_writer.BASES["pbs"]
    if needs_host and not options["host"]:  # the host in the base profile is only an example
        raise ProfileError(
            f"{name}: host: missing; name the login node: --host HOST (an alias from your ssh config will do)"
        )
    path = profile_writer.write(name, values, force=force)
    tell(f"Wrote {path}")
    for queue in values.get("queues", {}):
        tell(f"{values['extends']} lists no queue {queue!r}: added it without limits; you may put them into the file")
    tell(f"Next: hpcbrew setup {name}, hpcbrew cluster check {name}, hpcbrew config set cluster {name}")


def _ask(name: str, scheduler: str, options: dict[str, str | None]) -> dict[str, str]:
    """Asks for required values that were not given: the cluster's login node and its scratch folder."""
    answers: dict[str, str] = {}
    if scheduler == "local":
        return answers
    if not options["host"] and options["transport"] != "local":
        answers["host"] = click.prompt(f"Login node of {name} (an alias from your ssh config, or USER@HOST)", err=True)
    if not options["scratch"]:
        answers["scratch"] = click.prompt("Scratch folder there", default="~/scratch", err=True)
    return answers


COLOURS = {"✓": "green", "!": "yellow", "✗": "red"}


@command.command("check")
@click.argument("name", required=False, shell_complete=complete_cluster)
@json_option
def check_cluster(name: str | None, as_json: bool) -> None:
    """Check whether cluster NAME can run jobs, and say what to do about each problem.

    Checks connection, login shells, clock, scheduler, queues and their limits, project, GPUs, modules, disk space,
    Python and the engine. NAME defaults to the cluster of `hpcbrew config set cluster`. The exit status is 1 if
    anything is marked ✗.

    \b
    Examples:
      hpcbrew cluster check iitd
      hpcbrew cluster check --json
    """
    from hpcbrew.check import checks  # noqa: PLC0415 - for this command alone
    from hpcbrew.check.finding import Mark  # noqa: PLC0415 - for this command alone
    from hpcbrew.clusters import user_settings  # noqa: PLC0415 - for this command alone

    findings = []
    for finding in checks.run(profiles.load(name or user_settings.default_cluster())):
        findings.append(finding)
        if not as_json:
            found = "; ".join(finding.found.splitlines())
            say((finding.mark, COLOURS[finding.mark]), wrapped(f"  {finding.what:16} {found}", indent=19)[1:])
            if finding.remedy:
                say(wrapped(f"  {'':16} → {finding.remedy}", indent=21))
    if as_json:
        say_json([asdict(finding) for finding in findings], indent=2)
    if any(finding.mark is Mark.BAD for finding in findings):
        raise SystemExit(1)
