"""Stays with a job until it ends, and shows its training: as a progress bar, lines, or JSON."""

import json
import select
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import Any, Self, TypeVar

import click

from hpcbrew import layout
from hpcbrew.errors import TransportError
from hpcbrew.job import JobRecord, JobState
from hpcbrew.track import refresh, run_folder
from hpcbrew.track.ledger import Ledger
from hpcbrew.track.refresh import Site, TrackedJob
from hpcbrew.units import clock

HERE, THERE = (0.5, 2.0), (5.0, 30.0)
"""Seconds between two looks at a run folder, and between two questions to the scheduler: on this machine; on a cluster,
whose scheduler others ask too."""

SLOW = 60.0
"""Seconds between two looks at a cluster that does not answer."""

DETACHED = 130

Seen = TypeVar("Seen")


def training(record: JobRecord, site: Site, ledger: Ledger, *, as_json: bool) -> int:
    """Shows state, progress, test results and, at the end, where the model lies. Returns the job's exit status.

    Ctrl-C leaves the job to itself, says so, and returns 130.
    """
    shown = _Bar(record) if sys.stdout.isatty() and not as_json else _Shown(record, as_json=as_json)
    try:
        with shown:
            shown.begin()
            for tracked in looks(record, site, ledger):
                for test in lasting(lambda: list(_new_tests(site, record, shown))):
                    shown.test(test)
                shown.look(tracked)
        shown.end(tracked.record, _model(site, tracked.record), _complaint(site, tracked.record))
        return tracked.record.status.shell_status
    except KeyboardInterrupt:
        click.echo(
            f"\nDetached. The job goes on: hpcbrew status {record.id}, hpcbrew logs -f {record.id}, "
            f"hpcbrew cancel {record.id}",
            err=True,
        )
        return DETACHED


def looks(record: JobRecord, site: Site, ledger: Ledger) -> Iterator[TrackedJob]:
    """The job again and again, the last time when it has ended; less often while its cluster does not answer.

    Where it is in its run folder is looked at more often than the scheduler is asked.
    """
    if record.status.state.final and record.status.state is not JobState.LOST:
        yield TrackedJob(record)  # the scheduler may have forgotten it
        return
    steady, asking = HERE if record.address.transport == "local" else THERE
    tracked, asked, pause = TrackedJob(record), -asking, steady
    while True:
        seen = None
        if not tracked.trouble and time.monotonic() - asked < asking:
            seen = lasting(lambda: refresh.glance(site, tracked))  # noqa: B023 - called at once
        if seen is None:
            seen = lasting(lambda: refresh.look(site, [tracked.record], ledger)[0])  # noqa: B023
            asked = time.monotonic()
        tracked = seen
        yield tracked
        if tracked.record.status.state.final:
            return
        pause = min(pause * 2, SLOW) if tracked.trouble else steady
        _wait(pause)


def _wait(seconds: float) -> None:
    """Ends at once, as a write would, where nobody reads any more what is printed: `| head` has seen enough."""
    output = select.poll()
    try:
        output.register(sys.stdout, 0)
    except (OSError, TypeError, ValueError):  # it is no file
        time.sleep(seconds)
        return
    if output.poll(seconds * 1000):
        raise BrokenPipeError


def lasting(step: Callable[[], Seen]) -> Seen:
    """Does `step` again and again, as long as the connection drops; each time it is made anew."""
    pause, _ = HERE
    while True:
        try:
            return step()
        except TransportError as error:
            if not error.retryable:
                raise
            click.echo(f"hpcbrew: {error}; connecting again", err=True)
            time.sleep(pause)
            pause = min(pause * 2, SLOW)


def _model(site: Site, record: JobRecord) -> PurePosixPath | None:
    folder = record.run_folder / layout.SNAPSHOTS
    name = run_folder.newest_model(site.transport.names(folder))
    return folder / name if name else None


def _complaint(site: Site, record: JobRecord) -> str | None:
    """Why the engine refused, in its own words; None where it did not."""
    if record.status.state is not JobState.FAILED:
        return None
    log = (site.transport.read(record.run_folder / layout.LOG) or b"").decode(errors="replace")
    _, refused, words = log.rpartition("caffe: error: ")
    return words.strip() if refused else None


def _new_tests(site: Site, record: JobRecord, shown: "_Shown") -> Iterator[dict[str, Any]]:
    """The tests in metrics.jsonl since the last look. A line that is not whole yet is left for the next."""
    data = site.transport.read(record.run_folder / layout.METRICS, shown.metrics_read) or b""
    whole = data[: data.rfind(b"\n") + 1]
    shown.metrics_read += len(whole)
    for line in whole.splitlines():
        values = json.loads(line)
        if values.get("phase") == "test":
            yield values


class _Shown:
    """Lines of text: each new state, each test, the end. For pipes and files, and for --json an object a line."""

    def __init__(self, record: JobRecord, *, as_json: bool) -> None:
        self.record, self.as_json = record, as_json
        self.metrics_read = 0
        self.last: object = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def begin(self) -> None:
        if not self.as_json:
            self.say(f"{self.record.id}  {self.record.name} on {self.record.cluster}, in {self.record.run_folder}")

    def look(self, tracked: TrackedJob) -> None:
        status = tracked.record.status
        now = (status, tracked.trouble)
        if now == self.last:
            return
        self.last = now
        if self.as_json:
            self.say(json.dumps({**tracked.record.as_json(), "trouble": tracked.trouble or None}))
        elif tracked.trouble:
            self.say(f"{self.record.cluster} cannot be asked for now: {tracked.trouble}")
        elif not status.state.final:
            self.say(f"{status.state}{f': {status.reason}' if status.reason else ''}")

    def test(self, values: dict[str, Any]) -> None:
        if self.as_json:
            self.say(json.dumps(values))
            return
        outputs = "  ".join(f"{name} {_figure(value)}" for name, value in values["outputs"].items())
        self.say(f"Iteration {values['iteration']}: {outputs}")

    def end(self, record: JobRecord, model: PurePosixPath | None, complaint: str | None) -> None:
        if self.as_json:
            self.say(json.dumps({**record.as_json(), "model": str(model) if model else None, "error": complaint}))
            return
        status = record.status
        self.say(f"{str(status.state).capitalize()}{f': {status.reason}' if status.reason else ''}")
        if complaint:
            self.say(complaint)
        if record.is_array:
            self.say(f"Its jobs: hpcbrew compare {record.name}, hpcbrew logs '{record.name}[1]'")
        elif status.state is not JobState.DONE:
            self.say(f"Its log: hpcbrew logs {record.id} ({record.run_folder / layout.LOG})")
        if model:
            self.say(f"Model: {model}")

    def say(self, line: str) -> None:
        click.echo(line)


class _Bar(_Shown):
    """The same lines on a terminal, above a bar that shows how far the training is."""

    def __init__(self, record: JobRecord) -> None:
        from rich.progress import (  # noqa: PLC0415 - slow to import, and needed on a terminal only
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
        )

        super().__init__(record, as_json=False)
        self.bar = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[said]}")
        )
        self.task = self.bar.add_task("training", total=None, said="", visible=False)

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def look(self, tracked: TrackedJob) -> None:
        super().look(tracked)
        going = tracked.progress
        if going is None:
            return
        said = [f"loss {_figure(going.loss)}"] if going.loss is not None else []
        if going.images_per_second:
            said.append(f"{going.images_per_second:.0f} images/s")
        if going.seconds_left:
            said.append(f"{clock(going.seconds_left)} left")
        self.bar.update(self.task, completed=going.iteration, total=going.max_iter, said=", ".join(said), visible=True)

    def say(self, line: str) -> None:
        self.bar.console.print(line, markup=False, highlight=False, soft_wrap=True)


def _figure(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_figure(v) for v in value)}]"
    return f"{value:.4g}" if isinstance(value, int | float) else "nan"  # JSON has no NaN: the engine writes null
