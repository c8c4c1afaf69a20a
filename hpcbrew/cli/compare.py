"""`hpcbrew compare`."""

from pathlib import Path

import click

from engine.tools.log_panels import View
from hpcbrew.cli import tables
from hpcbrew.cli.options import complete_job, json_option
from hpcbrew.cli.output import figure, say_json, tell, warn
from hpcbrew.cli.plot import picture
from hpcbrew.track import compare as comparing
from hpcbrew.track.compare import Row
from hpcbrew.track.ledger import Ledger


@click.command()
@click.argument("jobs", nargs=-1, required=True, metavar="JOB...", shell_complete=complete_job)
@click.option("--plot", type=click.Path(path_type=Path, dir_okay=False), help="Plot the losses: a .png, .svg or .pdf.")
@json_option
def command(jobs: tuple[str, ...], plot: Path | None, as_json: bool) -> None:
    """Show several jobs, or the points of a sweep, side by side: the settings that differ, the state, the loss, and for
    each test output the best and the last value with its iteration.

    Jobs may still be training. --plot draws the same as hpcbrew plot, and needs matplotlib: pip install matplotlib.

    \b
    Examples:
      hpcbrew compare lenet
      hpcbrew compare 13 14 --plot losses.png
    """
    ledger = Ledger()
    rows = comparing.rows([ledger.find(job) for job in jobs], ledger, warn)
    if plot is not None:
        picture(comparing.logs(rows), View(), plot)
    if as_json:
        say_json([row.as_json() for row in rows], indent=2)
        return
    table(rows)
    if plot is not None:
        tell(f"Wrote {plot}")


def table(rows: list[Row]) -> None:
    """Prints one line per job, with a column for each setting."""
    settings = list(dict.fromkeys(key for row in rows for key in row.settings))
    outputs = list(dict.fromkeys(key for row in rows for key in (*row.best, *row.outputs)))
    test_heads = [part for name in outputs for part in (f"BEST {name.upper()}", f"LAST {name.upper()}")]
    heads = ["ID", "NAME", *(key.upper() for key in settings), "STATE", "ITERATION", "LOSS", *test_heads]
    tables.show(heads, [_cells(row, settings, outputs) for row in rows], tables.STATES)


def _cells(row: Row, settings: list[str], outputs: list[str]) -> list[str]:
    state = f"{row.state} at {row.log.diverged}" if row.log.diverged is not None else str(row.state)
    iteration = "-" if row.iteration is None else f"{row.iteration}/{row.max_iter}"
    loss = "-" if row.iteration is None else figure(row.loss, "nan")
    values = [row.settings.get(key, "-") for key in settings]
    tests = [part for name in outputs for part in (_best(row, name), _last(row, name))]
    return [row.id, row.name, *values, state, iteration, loss, *tests]


def _best(row: Row, name: str) -> str:
    best = row.best.get(name)
    return f"{figure(best.value, 'nan')} at {best.iteration}" if best else "-"


def _last(row: Row, name: str) -> str:
    return f"{figure(row.outputs[name], 'nan')} at {row.tested}" if name in row.outputs else "-"
