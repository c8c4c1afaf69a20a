"""Stays with a job until it ends: when its run folder is looked at, and when the scheduler is asked."""

import select
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from hpcbrew import layout
from hpcbrew.errors import TransportError
from hpcbrew.job import JobRecord, JobState
from hpcbrew.track import refresh, run_folder
from hpcbrew.track.ledger import Ledger
from hpcbrew.track.refresh import Site, TrackedJob

LOCAL, REMOTE = (0.5, 2.0), (5.0, 30.0)
"""Seconds between two looks at a run folder, and between two questions to the scheduler: on this machine; on a cluster,
whose scheduler others ask too."""

SLOW = 60.0
"""Seconds between two looks at a cluster that does not answer."""

Seen = TypeVar("Seen")
Say = Callable[[str], object]


@dataclass(frozen=True)
class Look:
    """A job at one moment, and the tests that its engine has done since the look before: objects of metrics.jsonl."""

    tracked: TrackedJob
    tests: list[dict[str, Any]]


def training(record: JobRecord, site: Site, ledger: Ledger, say: Say) -> Iterator[Look]:
    """As `looks`, with the results of its tests."""
    start = 0
    for tracked in looks(record, site, ledger, say):
        metrics = lasting(lambda: _whole_lines(site, record, start), say)  # noqa: B023 - called at once
        start += len(metrics)
        yield Look(tracked, [m for m in run_folder.read_metrics(metrics) if m.get("phase") == "test"])


def looks(record: JobRecord, site: Site, ledger: Ledger, say: Say) -> Iterator[TrackedJob]:
    """The job again and again, the last time when it has ended; less often while its cluster does not answer.

    Where it is in its run folder is looked at more often than the scheduler is asked. `say` is told of each connection
    that drops.
    """
    if record.status.state.final and record.status.state is not JobState.LOST:
        yield TrackedJob(record)  # the scheduler may have forgotten it
        return
    steady, asking = LOCAL if record.address.transport == "local" else REMOTE
    tracked, asked, pause = TrackedJob(record), -asking, steady
    while True:
        seen = None
        if not tracked.trouble and time.monotonic() - asked < asking:
            seen = lasting(lambda: refresh.glance(site, tracked), say)  # noqa: B023 - called at once
        if seen is None:
            seen = lasting(lambda: refresh.look(site, [tracked.record], ledger)[0], say)  # noqa: B023
            asked = time.monotonic()
        tracked = seen
        yield tracked
        if tracked.record.status.state.final:
            return
        pause = min(pause * 2, SLOW) if tracked.trouble else steady
        _wait(pause)


def lasting(step: Callable[[], Seen], say: Say) -> Seen:
    """Does `step` again and again, as long as the connection drops; each time it is made anew, and `say` is told."""
    pause, _ = LOCAL
    while True:
        try:
            return step()
        except TransportError as error:
            if not error.retryable:
                raise
            say(f"{error}; connecting again")
            time.sleep(pause)
            pause = min(pause * 2, SLOW)


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


def _whole_lines(site: Site, record: JobRecord, start: int) -> bytes:
    """What metrics.jsonl holds from byte `start` on. A line that is not whole yet is left for the next look."""
    data = site.transport.read(record.run_folder / layout.METRICS, start) or b""
    return data[: data.rfind(b"\n") + 1]
