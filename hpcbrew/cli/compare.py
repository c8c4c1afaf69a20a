"""`hpcbrew compare`."""

from dataclasses import asdict
from pathlib import Path

import click

from hpcbrew.cli.options import complete_job, json_option
from hpcbrew.cli.output import cell, figure, say, say_json, warn
from hpcbrew.errors import RequestError
from hpcbrew.track import compare as comparing
from hpcbrew.track.compare import Row
from hpcbrew.track.ledger import Ledger


@click.command()
@click.argument("jobs", nargs=-1, required=True, metavar="JOB...", shell_complete=complete_job)
@click.option("--plot", type=click.Path(path_type=Path, dir_okay=False), help="Draw the losses: a .png, .svg or .pdf.")
@json_option
def command(jobs: tuple[str, ...], plot: Path | None, as_json: bool) -> None:
    """Show the points of a sweep side by side, or several jobs: settings, state, loss and the last test's outputs.

    May be used while they train. The plot has a line for each job's loss, and needs
    matplotlib: pip install 'hpcbrew[plot]'.

    \b
    Examples:
      hpcbrew compare lenet
      hpcbrew compare 13 14 --plot losses.png
    """
    ledger = Ledger()
    rows = comparing.rows([ledger.find(job) for job in jobs], ledger, warn)
    if plot is not None:
        _plot(rows, plot)
    if as_json:
        say_json([asdict(row) for row in rows], indent=2)
    else:
        _table(rows)


def _plot(rows: list[Row], path: Path) -> None:
    try:
        comparing.plot(rows, path)
    except ImportError:
        raise RequestError("--plot needs matplotlib: pip install 'hpcbrew[plot]'") from None
    except (OSError, ValueError) as error:
        raise RequestError(f"--plot {path}: cannot be written: {error}") from None


def _table(rows: list[Row]) -> None:
    settings = list(dict.fromkeys(key for row in rows for key in row.settings))
    outputs = list(dict.fromkeys(key for row in rows for key in row.outputs))
    table = [["ID", *settings, "STATE", "ITERATION", "LOSS", *(f"test {key}" for key in outputs)]]
    for row in rows:
        iteration = "-" if row.iteration is None else f"{row.iteration}/{row.max_iter}"
        figures = [figure(row.loss, "-"), *(figure(row.outputs.get(key), "-") for key in outputs)]
        table.append([row.id, *(row.settings.get(k, "-") for k in settings), str(row.state), iteration, *figures])
    shown = [list(map(cell, line)) for line in table]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    for line in shown:
        say("  ".join(f"{text:{width}}" for text, width in zip(line, widths, strict=True)).rstrip())
