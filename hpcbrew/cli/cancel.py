"""`hpcbrew cancel`."""

from functools import partial

import click

from hpcbrew.cli import changes
from hpcbrew.cli.options import complete_job, json_option
from hpcbrew.track import control


@click.command()
@click.argument("jobs", nargs=-1, required=True, metavar="JOB...", shell_complete=complete_job)
@json_option
def command(jobs: tuple[str, ...], as_json: bool) -> None:
    """Cancel jobs, named by id, name or token. A name stands for the newest job of that name.

    PBS first asks a job to end (SIGTERM) and kills it some seconds later. The command waits briefly for that; if a job
    is still ending then, `hpcbrew status` shows when it has ended.

    \b
    Examples:
      hpcbrew cancel lenet
      hpcbrew cancel 12.pbshpc '13[4]'
    """
    changes.change(jobs, partial(control.cancel, patience=control.PATIENCE / len(jobs)), as_json=as_json)
