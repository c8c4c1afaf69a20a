"""`caffe plot_log`: plots the curves of training logs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import click

from engine import curves
from engine.cli import flags
from engine.curves import Panel
from engine.errors import EngineError
from engine.tools import log_panels
from engine.tools.log_panels import View
from engine.tools.training_log import LogError, TrainingLog, read

EPILOG = """\b
Examples:
  caffe plot_log curves.png train.log
  caffe plot_log 0 accuracy.png first.log second.log
"""


@dataclass(frozen=True)
class Chart:
    """One of the numbered charts of BVLC's plot_training_log.py: y over x, of training or of tests."""

    tests: bool
    y: str
    x: log_panels.Axis

    @property
    def title(self) -> str:
        return f"{'Test' if self.tests else 'Train'} {self.y} vs. {self.x}"


CHARTS = [
    Chart(tests, y, x)
    for tests, y in ((True, "accuracy"), (True, "loss"), (False, "learning rate"), (False, "loss"))
    for x in get_args(log_panels.Axis)
]


@click.command(
    "plot_log",
    cls=flags.Command,
    epilog="\b\nCHART:\n" + "\n".join(f"  {i}: {chart.title}" for i, chart in enumerate(CHARTS)) + f"\n\n{EPILOG}",
)
@click.argument("words", nargs=-1, required=True, metavar="[CHART] OUT.png LOG…")
def plot_log(words: Sequence[str]) -> None:
    """Plot the curves of training logs, BVLC Caffe's or this engine's, to OUT: .png, .svg or .pdf.

    CHART selects one of the charts of BVLC's plot_training_log.py by its number. Without it, the losses and all other
    test outputs are plotted.
    """
    chart = _chart(words[0])
    out, *names = words[1:] if chart else words
    if not names:
        raise click.UsageError("name the picture to write, then one or more logs: caffe plot_log curves.png train.log")
    logs = {Path(name).name: read(name) for name in names}
    if len(logs) < len(names):
        logs = {name: read(name) for name in names}
    panels = [_panel(chart, logs)] if chart else list(log_panels.panels(logs, View()))
    try:
        curves.draw(panels, chart.x if chart else "Iters", Path(out))
    except ImportError:
        raise EngineError("plot_log needs matplotlib: pip install matplotlib") from None
    except (OSError, ValueError) as error:
        raise EngineError(f"{out}: cannot be written: {error}") from None
    click.echo(f"Wrote {out}")


def _chart(word: str) -> Chart | None:
    if not word.isdecimal():
        return None
    if int(word) >= len(CHARTS):
        raise click.UsageError(f"chart {word}: charts are 0 to {len(CHARTS) - 1}; `caffe plot_log --help` lists them.")
    return CHARTS[int(word)]


def _panel(chart: Chart, logs: dict[str, TrainingLog]) -> Panel:
    values: dict[str, log_panels.Value] = {
        "accuracy": lambda row: next((y for name, y in row.outputs.items() if "accuracy" in name.lower()), math.nan),
        "loss": log_panels.loss,
        "learning rate": lambda row: row.rate,
    }
    curves = log_panels.curves(logs, values[chart.y], View(chart.x), tests=chart.tests)
    panel = Panel(chart.title.partition(" vs.")[0], [*curves])
    if not any(curve.points for curve in panel.curves):
        raise LogError(f"{', '.join(logs)}: no {panel.y.lower()} found in the log.")
    return panel
