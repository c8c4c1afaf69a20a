"""`hpcbrew release`."""

import click

from hpcbrew.cli import changes
from hpcbrew.cli.options import complete_job, json_option
from hpcbrew.track import control


@click.command()
@click.argument("jobs", nargs=-1, required=True, metavar="JOB...", shell_complete=complete_job)
@json_option
def command(jobs: tuple[str, ...], as_json: bool) -> None:
    """Release held jobs, so that they may start again when their turn comes.

    \b
    Examples:
      hpcbrew release lenet
      hpcbrew release 12.pbshpc 13.pbshpc
    """
    changes.change(jobs, control.release, as_json=as_json)
