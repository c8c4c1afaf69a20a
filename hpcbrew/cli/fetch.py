"""`hpcbrew fetch`."""

from pathlib import Path

import click

from engine.units import short_size
from hpcbrew import layout
from hpcbrew.cli.options import job_argument, json_option
from hpcbrew.cli.output import say_json, tell, warn
from hpcbrew.cli.transfer_bar import moving
from hpcbrew.track import refresh, run_folder
from hpcbrew.track.ledger import Ledger
from hpcbrew.transfer import download as fetching


@click.command()
@job_argument()
@click.option(
    "--into", type=click.Path(path_type=Path, file_okay=False), help="The folder to write to. Default: the job's name."
)
@json_option
def command(job: str, into: Path | None, as_json: bool) -> None:
    """Download the results of a JOB: models, snapshots, logs, metrics, and the definitions that it ran with.

    May be run while the job trains, and repeated: files that are already here are not fetched again, and interrupted
    downloads continue. A folder takes the results of one job: your own files, and those of other jobs, are never
    overwritten.

    \b
    Examples:
      hpcbrew fetch lenet
      hpcbrew fetch 12.pbshpc --into results/lenet
    """
    record = Ledger().find(job)
    transport = refresh.reach(record.address).transport
    files = fetching.wanted(record, transport)
    folder = into or fetching.default_folder(record)
    points = run_folder.describe(record, transport).points if record.is_array else ()
    with moving("fetching", sum(files.values())) as on_bytes:
        fetched = fetching.fetch(record, files, transport, folder, on_bytes, warn, points)
    paths = {name: path.relative_to(folder) for name, path in fetched.places.items()}
    if as_json:
        unchanged = sorted(str(paths[name]) for name in fetched.unchanged)
        names = sorted(map(str, paths.values()))
        say_json({**record.as_json(), "into": str(folder), "files": names, "unchanged": unchanged}, indent=2)
        return
    new = len(files) - len(fetched.unchanged)
    size = short_size(sum(files.values()))
    tell(f"{len(files)} files, {size}, in {folder}: {new} fetched, {len(fetched.unchanged)} unchanged")
    models = {path.parent for name, path in paths.items() if name.parent.name == layout.SNAPSHOTS}
    for place in sorted(models):
        newest = run_folder.newest_model([path.name for path in paths.values() if path.parent == place])
        if newest:
            tell(f"Model: {folder / place / newest}")
