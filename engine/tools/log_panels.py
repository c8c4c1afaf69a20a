"""Turns training logs into panels of curves."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Literal

from engine.curves import Curve, Panel
from engine.tools.training_log import Row, TrainingLog

Axis = Literal["Iters", "Seconds"]
Value = Callable[[Row], float]


@dataclass(frozen=True)
class View:
    """What is shown. x: iterations or seconds. smooth: the number of training values in the moving average. rate and
    throughput: whether the learning rate and the iterations per second get panels of their own."""

    x: Axis = "Iters"
    smooth: int = 1
    rate: bool = False
    throughput: bool = False

    @property
    def title(self) -> str:
        """The label of the x axis."""
        return "Iteration" if self.x == "Iters" else "Seconds"


def panels(logs: Mapping[str, TrainingLog], view: View) -> Iterator[Panel]:
    """One panel for the losses of training and tests, one for each other test output, then those that `view` adds.

    `logs`: by their names in the legend, "" if there is only one.
    """
    losses = [*curves(logs, loss, view), *curves(logs, loss, view, tests=True)]
    yield Panel("loss", [curve for curve in losses if curve.points])
    rows = [row for log in logs.values() for tests in log.tests.values() for row in tests]
    for name in dict.fromkeys(name for row in rows for name in row.outputs if "loss" not in name.lower()):
        yield Panel(name, [*curves(logs, partial(_output, name), view, tests=True)])
    if view.rate:
        yield Panel("learning rate", [*curves(logs, lambda row: row.rate, View(view.x))])
    if view.throughput:
        faster = {name: TrainingLog(_speeds(log.train)) for name, log in logs.items()}
        yield Panel("iterations a second", [*curves(faster, lambda row: row.loss, view)])


def curves(logs: Mapping[str, TrainingLog], value: Value, view: View, *, tests: bool = False) -> Iterator[Curve]:
    """A value of each log's training iterations, or with `tests` of each of its test nets. A log has one colour."""
    for group, (name, log) in enumerate(logs.items()):
        for number, rows in log.tests.items() if tests else [(0, log.train)]:
            what = f"test{f' #{number}' if number else ''}" if tests else "train"
            by_x = {row.iteration if view.x == "Iters" else row.seconds: value(row) for row in rows}
            points = sorted((at, y) for at, y in by_x.items() if math.isfinite(at) and math.isfinite(y))
            broken = log.diverged is not None and not tests
            end = f" (diverged at {log.diverged})" if broken else ""
            label = f"{name}: {what}{end}" if name else f"{what}{end}"
            smoothed = points if tests else _smoothed(points, view.smooth)  # a test is the mean of many batches already
            yield Curve(label, smoothed, group, dashed=tests, broken=broken)


def _smoothed(points: Sequence[tuple[float, float]], count: int) -> Sequence[tuple[float, float]]:
    """The moving average over the last `count` values."""
    if count <= 1:
        return points
    averages, total = [], 0.0
    for n, (x, y) in enumerate(points):
        total += y - (points[n - count][1] if n >= count else 0.0)
        averages.append((x, total / min(n + 1, count)))
    return [(x, y) for x, y in averages if math.isfinite(y)]  # sums may overflow


def _output(name: str, row: Row) -> float:
    return row.outputs.get(name, math.nan)


def loss(row: Row) -> float:
    """The loss that the log gives for an iteration or a test, or else an output with "loss" in its name."""
    losses = (y for name, y in row.outputs.items() if "loss" in name.lower())
    return next(losses, math.nan) if math.isnan(row.loss) else row.loss


def _speeds(rows: Sequence[Row]) -> list[Row]:
    """Rows with the iterations per second between consecutive rows, in place of the loss."""
    return [
        Row(b.iteration, b.seconds, loss=(b.iteration - a.iteration) / (b.seconds - a.seconds))
        for a, b in pairwise(rows)
        if b.iteration > a.iteration and b.seconds > a.seconds
    ]
