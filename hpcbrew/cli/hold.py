"""`hpcbrew hold`."""

import click

from hpcbrew.cli import changes
from hpcbrew.cli.options import complete_job, json_option
from hpcbrew.track import control


@click.command()
@click.argument("jobs", nargs=-1, required=True, metavar="JOB...", shell_complete=complete_job)
@json_option
def command(jobs: tuple[str, ...], as_json: bool) -> None:
    """Hold queued jobs: they do not start until `hpcbrew release`.

    \b
    Examples:
      hpcbrew hold lenet
      hpcbrew release lenet
    """
    changes.change(jobs, control.hold, as_json=as_json)
