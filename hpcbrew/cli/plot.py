"""`hpcbrew plot`."""

import sys
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import click

from engine import curves_in_text
from engine.tools import log_panels, training_log
from engine.tools.log_panels import View
from engine.tools.training_log import TrainingLog
from hpcbrew import layout
from hpcbrew.cli.options import complete_job
from hpcbrew.cli.output import say, tell, terminal_width, warn
from hpcbrew.errors import LedgerError, RequestError
from hpcbrew.job import JobRecord
from hpcbrew.track import compare, course
from hpcbrew.track.ledger import Ledger
from hpcbrew.transports.local_reader import LocalReader

COLOURS = ("blue", "yellow", "green", "red", "magenta", "cyan")
HEIGHT = 12
"""Lines per panel."""


@click.command()
@click.argument("jobs", nargs=-1, required=True, metavar="JOB|LOG...", shell_complete=complete_job)
@click.option("--out", "-o", type=click.Path(path_type=Path, dir_okay=False), help="Write a .png, .svg or .pdf.")
@click.option("--time", "by_time", is_flag=True, help="Plot over seconds instead of iterations.")
@click.option("--log", "log", is_flag=True, help="Plot losses on a logarithmic axis.")
@click.option("--smooth", type=click.IntRange(min=1), default=1, metavar="N", help="Average over N training values.")
@click.option("--rate", is_flag=True, help="Also plot the learning rate.")
@click.option("--throughput", is_flag=True, help="Also plot iterations per second.")
def command(
    jobs: tuple[str, ...], out: Path | None, by_time: bool, log: bool, smooth: int, rate: bool, throughput: bool
) -> None:
    """Plot training and test losses, and all other test outputs, in the terminal or as a picture.

    Several jobs share the panels, and the legend says how they differ. A sweep is drawn as all of its points, and a
    resumed job together with the jobs it continues. LOG is a log of BVLC Caffe or caffe train, a metrics.jsonl, or a
    folder that contains one. Jobs may still be training. Pictures need matplotlib: pip install matplotlib.

    \b
    Examples:
      hpcbrew plot lenet
      hpcbrew plot lenet alexnet -o loss.png --log --smooth 10
      hpcbrew plot 13 --time --rate -o sweep.svg
      hpcbrew plot train.log
    """
    view = View("Seconds" if by_time else "Iters", smooth, rate, throughput)
    curves = _curves(jobs)
    if not any(log.train or log.tests for log in curves.values()):
        raise RequestError(f"{', '.join(jobs)}: nothing was trained or tested yet; hpcbrew status shows the state")
    if out is None:
        _in_text(curves, view, log=log)
    else:
        picture(curves, view, out, log=log)
        tell(f"Wrote {out}")


def picture(curves: dict[str, TrainingLog], view: View, path: Path, *, log: bool = False) -> None:
    """Draws into a file. Raises RequestError if that fails."""
    try:
        compare.draw(curves, view, path, log=log)
    except ImportError:
        raise RequestError("pictures need matplotlib: pip install matplotlib") from None
    except (OSError, ValueError) as error:
        raise RequestError(f"{path}: cannot be written: {error}") from None


def _curves(names: Sequence[str]) -> dict[str, TrainingLog]:
    """Returns the curves of jobs, and of files that are not jobs, by label. Raises LedgerError for what is neither."""
    ledger = Ledger()
    records: list[JobRecord] = []
    files: dict[str, TrainingLog] = {}
    for name in names:
        try:
            records.append(ledger.find(name))
        except LedgerError:
            if not _has_course(Path(name)):
                raise
            files[name] = _file(Path(name))
    jobs = compare.logs(compare.rows(records, ledger, warn)) if records else {}
    if files and "" in jobs:
        jobs = {records[0].name: jobs[""]}
    return {"": next(iter(files.values()))} if len(names) == len(files) == 1 else {**jobs, **files}


def _has_course(path: Path) -> bool:
    """Whether `path` is a file, or a folder that a job's results were fetched into (not, say, one of pictures)."""
    return (path / layout.METRICS if path.is_dir() else path).exists()


def _file(path: Path) -> TrainingLog:
    """Reads a log, a job's metrics, or the folder that they were fetched into. Raises EngineError for anything else."""
    if path.is_dir() or path.name == layout.METRICS:
        folder = path if path.is_dir() else path.parent
        return course.course(PurePosixPath(folder.absolute()), LocalReader(), warn)
    return training_log.read(path)


def _in_text(curves: dict[str, TrainingLog], view: View, *, log: bool) -> None:
    width = min(terminal_width(), 120) - 1
    braille = (sys.stdout.encoding or "").lower().startswith("utf")
    panels = list(log_panels.panels(curves, view))
    for line in curves_in_text.draw(panels, view.title, width, HEIGHT, log=log, braille=braille):
        say(*(part if group is None else (part, COLOURS[group % len(COLOURS)]) for part, group in line))
