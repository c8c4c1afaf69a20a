"""Stays with a job until it ends: when its run folder is looked at, and when the scheduler is asked."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from hpcbrew.job import JobRecord, JobState
from hpcbrew.track import refresh
from hpcbrew.track.lasting import SLOW, Say, lasting, wait
from hpcbrew.track.ledger import Ledger
from hpcbrew.track.metrics import Metrics
from hpcbrew.track.refresh import Site, TrackedJob

LOCAL, REMOTE = (0.5, 2.0), (5.0, 30.0)
"""Seconds between two looks at a run folder, and between two questions to the scheduler: on this machine; on a cluster,
whose scheduler others ask too."""

Rest = Callable[[float, float], object]
"""Stays for some seconds, the first number; where the run folder says that the job has ended, a multiple of the second.
"""


@dataclass(frozen=True)
class Look:
    """A job at one moment, and the tests that its engine has done since the look before: objects of metrics.jsonl."""

    tracked: TrackedJob
    tests: list[dict[str, Any]]


def training(record: JobRecord, site: Site, ledger: Ledger, say: Say) -> Iterator[Look]:
    """As `looks`, with the results of its tests; a look that finds very many of them is given several times."""
    reader = site.transport.reader()
    metrics = Metrics(reader, record.run_folder, say, lasting=True)
    try:
        for tracked in looks(record, site, ledger, say):
            yield Look(tracked, [])
            for entries in metrics.new():
                yield Look(tracked, [values for values in entries if values["phase"] == "test"])
            reader.close()  # some servers let one session in at a time
    finally:
        reader.close()


@dataclass(frozen=True)
class SweepLook:
    """A sweep at one moment, and each of its points."""

    tracked: TrackedJob
    points: list[TrackedJob]


def sweep(record: JobRecord, count: int, site: Site, ledger: Ledger, say: Say) -> Iterator[SweepLook]:
    """A sweep of `count` points again and again, the last time when it has ended."""
    points = [TrackedJob(ledger.find(f"{record.token}[{n}]")) for n in range(1, count + 1)]
    _, asking = LOCAL if record.address.transport == "local" else REMOTE
    while True:
        (tracked,) = lasting(lambda: refresh.look(site, [record], ledger), say)  # noqa: B023 - called at once
        open_ = [point.record for point in points if not point.record.status.state.final]
        seen = {job.record.token: job for job in lasting(lambda: refresh.look(site, open_, ledger), say)}  # noqa: B023
        points = [seen.get(point.record.token, point) for point in points]
        yield SweepLook(tracked, points)
        if tracked.record.status.state.final:
            return
        record = tracked.record
        wait(asking)


def looks(record: JobRecord, site: Site, ledger: Ledger, say: Say, rest: Rest | None = None) -> Iterator[TrackedJob]:
    """The job again and again, the last time when it has ended; less often while its cluster does not answer.

    Where it is in its run folder is looked at more often than the scheduler is asked; with `rest`, which is called in
    between, that is left to it. `say` is told of each connection that drops.
    """
    if record.status.state.final and record.status.state is not JobState.LOST:
        yield refresh.as_kept(record, ledger.outcomes())  # the scheduler may have forgotten it
        return
    steady, asking = LOCAL if record.address.transport == "local" else REMOTE
    tracked, asked, pause = TrackedJob(record), -asking, steady
    while True:
        seen = None
        if rest is None and not tracked.trouble and time.monotonic() - asked < asking:
            seen = lasting(lambda: refresh.glance(site, tracked), say)  # noqa: B023 - called at once
        if seen is None:
            seen = lasting(lambda: refresh.look(site, [tracked.record], ledger)[0], say)  # noqa: B023
            asked = time.monotonic()
        tracked = seen
        yield tracked
        if tracked.record.status.state.final:
            return
        pause = min(pause * 2, SLOW) if tracked.trouble else steady
        if rest is None:
            wait(pause)
        else:
            rest(max(pause, asking), pause)
