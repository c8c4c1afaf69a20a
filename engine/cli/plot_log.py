"""`caffe plot_log`: the curves of training logs."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click

from engine import curves
from engine.cli import flags
from engine.curves import Curve, Panel
from engine.errors import EngineError
from engine.tools.training_log import LogError, Row, TrainingLog, read

EPILOG = """\b
Examples:
  caffe plot_log curves.png train.log
  caffe plot_log 0 accuracy.png first.log second.log
"""


@dataclass(frozen=True)
class Chart:
    """What BVLC's plot_training_log.py draws by a number: y over x, of training or of tests."""

    tests: bool
    y: str
    x: str

    @property
    def title(self) -> str:
        return f"{'Test' if self.tests else 'Train'} {self.y} vs. {self.x}"


CHARTS = [
    Chart(tests, y, x)
    for tests, y in ((True, "accuracy"), (True, "loss"), (False, "learning rate"), (False, "loss"))
    for x in ("Iters", "Seconds")
]


@click.command(
    "plot_log",
    cls=flags.Command,
    epilog="\b\nCHART:\n" + "\n".join(f"  {i}: {chart.title}" for i, chart in enumerate(CHARTS)) + f"\n\n{EPILOG}",
)
@click.argument("words", nargs=-1, required=True, metavar="[CHART] OUT.png LOG…")
def plot_log(words: Sequence[str]) -> None:
    """Draws the curves of training logs, of BVLC Caffe's or this engine's, into OUT: .png, .svg or .pdf.

    With a CHART, a number of BVLC's plot_training_log.py, that one; without, losses and all other outputs of tests.
    """
    chart = _chart(words[0])
    out, *names = words[1:] if chart else words
    if not names:
        raise click.UsageError("give the picture's name, then one log or more: caffe plot_log curves.png train.log")
    logs = {name: read(name) for name in names}
    panels = [_panel(chart, logs)] if chart else list(_panels(logs))
    try:
        curves.draw(panels, chart.x if chart else "Iters", Path(out))
    except ImportError:
        raise EngineError("plot_log needs matplotlib: pip install 'hpcbrew[plot]'") from None
    except (OSError, ValueError) as error:
        raise EngineError(f"{out}: cannot be written: {error}") from None
    click.echo(f"Wrote {out}")


def _chart(word: str) -> Chart | None:
    if not word.isdecimal():
        return None
    if int(word) >= len(CHARTS):
        raise click.UsageError(f"chart {word}: there are 0 to {len(CHARTS) - 1}; `caffe plot_log --help` says which.")
    return CHARTS[int(word)]


def _panel(chart: Chart, logs: dict[str, TrainingLog]) -> Panel:
    values: dict[str, Callable[[Row], float]] = {
        "accuracy": lambda row: next((y for name, y in row.outputs.items() if "accuracy" in name.lower()), math.nan),
        "loss": _loss,
        "learning rate": lambda row: row.rate,
    }
    panel = Panel(chart.title.partition(" vs.")[0], [*_curves(logs, chart.tests, values[chart.y], chart.x)])
    if not any(curve.points for curve in panel.curves):
        raise LogError(f"{', '.join(logs)}: no {panel.y.lower()} is told there.")
    return panel


def _panels(logs: dict[str, TrainingLog]) -> Iterator[Panel]:
    """Losses of training and tests in one, every other output of a test in one of its own."""
    losses = [*_curves(logs, False, _loss, "Iters"), *_curves(logs, True, _loss, "Iters")]
    yield Panel("loss", [curve for curve in losses if curve.points])
    rows = [row for log in logs.values() for tests in log.tests.values() for row in tests]
    for name in dict.fromkeys(name for row in rows for name in row.outputs if "loss" not in name.lower()):
        yield Panel(name, [*_curves(logs, True, partial(_output, name), "Iters")])


def _output(name: str, row: Row) -> float:
    return row.outputs.get(name, math.nan)


def _loss(row: Row) -> float:
    named = (y for name, y in row.outputs.items() if "loss" in name.lower())
    return next(named, math.nan) if math.isnan(row.loss) else row.loss


def _curves(logs: dict[str, TrainingLog], tests: bool, value: Callable[[Row], float], x: str) -> Iterator[Curve]:
    for path, log in logs.items():
        for number, rows in log.tests.items() if tests else [(0, log.train)]:
            what = f"test{f' #{number}' if number else ''}" if tests else "train"
            found = {row.iteration if x == "Iters" else row.seconds: value(row) for row in rows}
            points = sorted((at, y) for at, y in found.items() if math.isfinite(at) and math.isfinite(y))
            yield Curve(f"{Path(path).name}: {what}", points)
