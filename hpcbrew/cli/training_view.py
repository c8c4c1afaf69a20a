"""Shows a job's training until it ends: as lines of text, above a bar on a terminal, or as JSON."""

import shutil
import sys
from pathlib import PurePosixPath
from typing import Any, Self

from engine.printable import printable
from hpcbrew import layout
from hpcbrew.cli.output import DETACHED, cell, figure, json_text, say, tell, warn, wrapped
from hpcbrew.job import JobRecord, JobState, JobStatus
from hpcbrew.track import follow, run_folder
from hpcbrew.track.ledger import Ledger
from hpcbrew.track.refresh import Site, TrackedJob
from hpcbrew.units import span

WIDE = 60
"""Columns from which a terminal has room for a bar beside the figures."""


def training(record: JobRecord, site: Site, ledger: Ledger, *, as_json: bool) -> int:
    """Shows state, progress, test results and, at the end, where the model is. Returns the job's exit status.

    Ctrl-C detaches from the job, which goes on, says so, and returns 130.
    """
    view = Objects(record) if as_json else Bar(record) if sys.stdout.isatty() else Lines(record)
    try:
        with view:
            view.begin()
            for look in follow.training(record, site, ledger, warn):
                for test in look.tests:
                    view.test(test)
                view.look(look.tracked)
        ended = look.tracked.record
        view.end(ended, run_folder.model(ended, site.transport), run_folder.complaint(ended, site.transport))
        return ended.status.shell_status
    except KeyboardInterrupt:
        say(err=True)
        tell(f"Detached. The job goes on: {next_steps(record)}", err=True)
        return DETACHED


def next_steps(record: JobRecord) -> str:
    """Returns the commands that one may want after submitting a job. An array job has no log of its own, and its name
    is used because a shell may take the brackets of its id for a pattern."""
    if not record.is_array:
        return f"hpcbrew status {record.id}, hpcbrew logs -f {record.id}, hpcbrew cancel {record.id}"
    name, one = record.name, f"'{record.name}[1]'"
    return f"hpcbrew status {name}, hpcbrew compare {name}, hpcbrew logs -f {one}, hpcbrew cancel {name}"


def because(status: JobStatus) -> str:
    """Returns the reason for a job's state, to be appended to the word for the state."""
    reason = printable(status.reason, one_line=True)
    return f" {reason}" if reason.startswith("at iteration ") else f": {reason}" if reason else ""


class Lines:
    """Prints a line of text for each new state, each test, and the end. For pipes and files."""

    def __init__(self, record: JobRecord) -> None:
        self.record = record
        self._last: object = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def begin(self) -> None:
        self.say(f"{self.record.id}  {self.record.name} on {self.record.cluster}, in {self.record.run_folder}")

    def look(self, tracked: TrackedJob) -> None:
        now = (tracked.record.status, tracked.trouble, tracked.fault)
        if now != self._last:
            self._last = now
            self.changed(tracked)

    def changed(self, tracked: TrackedJob) -> None:
        status = tracked.record.status
        if tracked.trouble:
            self.say(f"{self.record.cluster} cannot be asked at the moment: {tracked.trouble}")
        elif not status.state.final:
            self.say(f"{status.state}{because(status)}")
        if tracked.fault:
            self.say(f"In its run folder: {tracked.fault}")

    def test(self, values: dict[str, Any]) -> None:
        outputs = "  ".join(f"{cell(name)} {figure(value, 'nan')}" for name, value in values["outputs"].items())
        self.say(f"Test at iteration {values['iteration']}: {outputs}")

    def end(self, record: JobRecord, model: PurePosixPath | None, complaint: str | None) -> None:
        status = record.status
        self.say(f"{str(status.state).capitalize()}{because(status)}")
        if complaint:
            self.say(complaint)
        if record.is_array:
            self.say(f"Its jobs: hpcbrew compare {record.name}, hpcbrew logs '{record.name}[1]'")
        elif status.state is not JobState.DONE:
            self.say(f"Its log: hpcbrew logs {record.id} ({record.run_folder / layout.LOG})")
        if model:
            self.say(f"Model: {model}")
            # On standard error, since a program may expect the model on the last line of standard output.
            option = " --mem SIZE" if status.state is JobState.OUT_OF_MEMORY else ""
            unfinished = status.state in (JobState.CANCELLED, JobState.OUT_OF_MEMORY, JobState.OUT_OF_WALLTIME)
            resume = f"hpcbrew resume {record.name}{option} continues from it, " if unfinished else ""
            fetch, plot = f"hpcbrew fetch {record.name} downloads it", f"hpcbrew plot {record.name} plots the training"
            tell(f"Next: {resume}{fetch}, {plot}", err=True)

    def say(self, line: str) -> None:
        say(line)


class Objects(Lines):
    """Prints one JSON object per line: the job at each new state, each test as the engine wrote it, the job's end."""

    def begin(self) -> None: ...

    def changed(self, tracked: TrackedJob) -> None:
        self.say(json_text({**tracked.record.as_json(), "trouble": tracked.trouble or None}))

    def test(self, values: dict[str, Any]) -> None:
        self.say(json_text(values))

    def end(self, record: JobRecord, model: PurePosixPath | None, complaint: str | None) -> None:
        self.say(json_text({**record.as_json(), "model": str(model) if model else None, "error": complaint}))


class Bar(Lines):
    """Prints the same lines on a terminal, above a bar that shows the progress of the training."""

    def __init__(self, record: JobRecord) -> None:
        # Slow to import, and needed on a terminal only.
        from rich.progress import BarColumn, Progress, TextColumn  # noqa: PLC0415

        super().__init__(record)
        figures = TextColumn("[progress.download]{task.completed}/{task.total}[/] {task.fields[figures]}")
        wide = shutil.get_terminal_size().columns >= WIDE
        self._bar = Progress(*((TextColumn("{task.description}"), BarColumn()) if wide else ()), figures)
        self._task = self._bar.add_task("training", total=None, figures="", visible=False)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def look(self, tracked: TrackedJob) -> None:
        super().look(tracked)
        progress = tracked.progress
        if progress is None:
            return
        figures = [f"loss {figure(progress.loss, 'nan')}"] if progress.loss is not None else []
        if progress.images_per_second:
            figures.append(f"{progress.images_per_second:.0f} images/s")
        if progress.seconds_left:
            figures.append(f"{span(progress.seconds_left)} left")
        self._bar.update(
            self._task, completed=progress.iteration, total=progress.max_iter, figures=", ".join(figures), visible=True
        )

    def say(self, line: str) -> None:
        self._bar.console.print(printable(wrapped(line, indent=4)), markup=False, highlight=False, soft_wrap=True)
