"""`hpcbrew fetch`."""

from pathlib import Path

import click

from hpcbrew.cli.options import job_argument, json_option
from hpcbrew.cli.output import say, say_json, warn
from hpcbrew.cli.transfer_bar import moving
from hpcbrew.track import refresh
from hpcbrew.track.ledger import Ledger
from hpcbrew.transfer import download as fetching


@click.command()
@job_argument()
@click.option(
    "--into", type=click.Path(path_type=Path, file_okay=False), help="The folder. Without it: the job's name."
)
@json_option
def command(job: str, into: Path | None, as_json: bool) -> None:
    """Bring the results of a JOB home: models, snapshots, logs, metrics, and the definitions that it ran with.

    May be run while the job trains, and again: what has come already is not fetched again, and what broke off goes on.
    A folder takes the results of one job: files of yours, or of another job, are never overwritten.

    \b
    Examples:
      hpcbrew fetch lenet
      hpcbrew fetch 12.pbshpc --into results/lenet
    """
    record = Ledger().find(job)
    transport = refresh.reach(record.address).transport
    files = fetching.wanted(record, transport)
    folder = into or fetching.default_folder(record)
    with moving("fetching", sum(files.values())) as said:
        fetching.fetch(record, files, transport, folder, said, warn)
    if as_json:
        say_json({**record.as_json(), "into": str(folder), "files": sorted(map(str, files))}, indent=2)
        return
    say(f"{len(files)} files in {folder}")
