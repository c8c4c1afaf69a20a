"""Shows a sweep until it ends: its points as lines, as bars on a terminal, or as JSON; at the end side by side."""

import sys
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

from engine.printable import printable
from hpcbrew.cli import compare
from hpcbrew.cli.output import DETACHED, cell, figure, json_text, say, tell, warn, wrapped
from hpcbrew.cli.training_view import because, next_steps
from hpcbrew.job import JobRecord
from hpcbrew.track import compare as comparing
from hpcbrew.track import follow, run_folder
from hpcbrew.track.ledger import Ledger
from hpcbrew.track.refresh import Site, TrackedJob

BARS = 24
"""The most points that have a bar at a time; only running points have one."""


def training(record: JobRecord, site: Site, ledger: Ledger, *, as_json: bool) -> int:
    """Shows each point's state and progress, and at the end all side by side. Returns the sweep's exit status.

    Ctrl-C detaches from the jobs, which go on, says so, and returns 130.
    """
    try:
        settings = run_folder.describe(record, site.transport).points
        view = Objects() if as_json else Bars(settings) if sys.stdout.isatty() else Lines(settings)
        with view.bar:
            for look in follow.sweep(record, len(settings), site, ledger, warn):
                view.look(look.points)
        ended = look.tracked.record
        if as_json:
            say(json_text(look.tracked.as_json()))
        else:
            compare.table(comparing.rows([ended], ledger, warn))
            tell(f"{str(ended.status.state).capitalize()}{because(ended.status)}")
            tell(f"Next: hpcbrew plot {record.name}, hpcbrew fetch {record.name}, hpcbrew logs '{record.name}[1]'")
        return ended.status.shell_status
    except KeyboardInterrupt:
        say(err=True)
        tell(f"Detached. The jobs go on: {next_steps(record)}", err=True)
        return DETACHED


class Lines:
    """Prints a line for each change of a point's state and for each of its tests. For pipes and files."""

    bar: Any = nullcontext()

    def __init__(self, settings: Sequence[dict[str, str]]) -> None:
        varied = {key for point in settings for key in point if len({other.get(key) for other in settings}) > 1}
        self._settings = [{key: value for key, value in point.items() if key in varied} for point in settings]
        self._states: dict[int, object] = {}

    def look(self, points: Sequence[TrackedJob]) -> None:
        for number, point in enumerate(points, 1):
            progress = point.progress
            state = (point.record.status, progress.tested if progress else None)
            if self._states.get(number) != state:
                self._states[number] = state
                self.changed(number, point)

    def changed(self, number: int, point: TrackedJob) -> None:
        self.say(f"{self.name(number, point)}: {point.record.status.state}{because(point.record.status)}{_test(point)}")

    def name(self, number: int, point: TrackedJob) -> str:
        settings = ", ".join(f"{key} {value}" for key, value in self._settings[number - 1].items())
        return cell(f"{point.record.name} ({settings})")

    def say(self, line: str) -> None:
        say(line)


class Objects(Lines):
    """Prints an object for each change of a point, and the sweep at the end."""

    def __init__(self) -> None:
        super().__init__(())

    def changed(self, number: int, point: TrackedJob) -> None:
        self.say(json_text(point.as_json()))


class Bars(Lines):
    """Prints the same lines on a terminal, above a bar for each running point."""

    def __init__(self, settings: Sequence[dict[str, str]]) -> None:
        from rich.progress import (  # noqa: PLC0415 - slow to import, and needed on a terminal only
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
        )

        super().__init__(settings)
        columns = TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn()
        self.bar = Progress(*columns, TextColumn("{task.fields[figures]}", markup=False))
        self._tasks: dict[int, Any] = {}

    def look(self, points: Sequence[TrackedJob]) -> None:
        super().look(points)
        for number, point in enumerate(points, 1):
            progress, ended = point.progress, point.record.status.state.final
            if ended and number in self._tasks:
                self.bar.remove_task(self._tasks.pop(number))
            if progress is None or ended:
                continue
            if number not in self._tasks and len(self._tasks) < BARS:
                self._tasks[number] = self.bar.add_task(self.name(number, point), total=None, figures="")
            if number in self._tasks:
                figures = f"loss {figure(progress.loss, 'nan')}"
                self.bar.update(
                    self._tasks[number], completed=progress.iteration, total=progress.max_iter, figures=figures
                )

    def say(self, line: str) -> None:
        self.bar.console.print(printable(wrapped(line, indent=4)), markup=False, highlight=False, soft_wrap=True)


def _test(point: TrackedJob) -> str:
    """Describes the point's last test."""
    progress = point.progress
    if progress is None or progress.tested is None:
        return ""
    outputs = ", ".join(f"{cell(name)} {figure(value, 'nan')}" for name, value in progress.outputs.items())
    return f"; test at iteration {progress.tested}: {outputs}" if outputs else ""
