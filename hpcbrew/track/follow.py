"""Follows a job until it ends: decides when to read its run folder, and when to ask the scheduler."""

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
"""Seconds between two reads of a run folder, and between two queries of the scheduler: on this machine, and on a
cluster, whose scheduler others query too."""

Rest = Callable[[float, float], object]
"""Called between two queries with the seconds to stay, and the seconds between two looks for the end: it may return
early, after a multiple of the latter, if the run folder says that the job has ended."""


@dataclass(frozen=True)
class Look:
    """A job at one moment, and the tests that its engine has run since the previous look: objects of metrics.jsonl."""

    tracked: TrackedJob
    tests: list[dict[str, Any]]


def training(record: JobRecord, site: Site, ledger: Ledger, say: Say) -> Iterator[Look]:
    """The same as `looks`, with the job's test results; a look that finds very many is yielded in several parts."""
    reader = site.transport.reader()
    metrics = Metrics(reader, record.run_folder, say, lasting=True)
    try:
        for tracked in looks(record, site, ledger, say):
            yield Look(tracked, [])
            for entries in metrics.new():
                yield Look(tracked, [values for values in entries if values["phase"] == "test"])
            reader.close()  # some servers allow only one session at a time
    finally:
        reader.close()


@dataclass(frozen=True)
class SweepLook:
    """A sweep at one moment, and each of its points."""

    tracked: TrackedJob
    points: list[TrackedJob]


def sweep(record: JobRecord, count: int, site: Site, ledger: Ledger, say: Say) -> Iterator[SweepLook]:
    """Yields a sweep of `count` points repeatedly, the last time when it has ended."""
    points = [TrackedJob(ledger.find(f"{record.token}[{n}]")) for n in range(1, count + 1)]
    _, query_interval = LOCAL if record.address.transport == "local" else REMOTE
    while True:
        (tracked,) = lasting(lambda: refresh.look(site, [record], ledger), say)  # noqa: B023 - called at once
        open_ = [point.record for point in points if not point.record.status.state.final]
        by_token = {job.record.token: job for job in lasting(lambda: refresh.look(site, open_, ledger), say)}  # noqa: B023
        points = [by_token.get(point.record.token, point) for point in points]
        yield SweepLook(tracked, points)
        if tracked.record.status.state.final:
            return
        record = tracked.record
        wait(query_interval)


def looks(record: JobRecord, site: Site, ledger: Ledger, say: Say, rest: Rest | None = None) -> Iterator[TrackedJob]:
    """Yields the job repeatedly, the last time when it has ended; less often while its cluster does not answer.

    Reads its progress in the run folder more often than it asks the scheduler; with `rest`, which is called between
    queries, reading the folder is left to that. Calls `say` for each dropped connection.
    """
    if record.status.state.final and record.status.state is not JobState.LOST:
        yield refresh.as_kept(record, ledger.outcomes())  # the scheduler may have forgotten it
        return
    read_interval, query_interval = LOCAL if record.address.transport == "local" else REMOTE
    tracked, last_query, pause = TrackedJob(record), -query_interval, read_interval
    while True:
        latest = None
        if rest is None and not tracked.trouble and time.monotonic() - last_query < query_interval:
            latest = lasting(lambda: refresh.glance(site, tracked), say)  # noqa: B023 - called at once
        if latest is None:
            latest = lasting(lambda: refresh.look(site, [tracked.record], ledger)[0], say)  # noqa: B023
            last_query = time.monotonic()
        tracked = latest
        yield tracked
        if tracked.record.status.state.final:
            return
        pause = min(pause * 2, SLOW) if tracked.trouble else read_interval
        if rest is None:
            wait(pause)
        else:
            rest(max(pause, query_interval), pause)
