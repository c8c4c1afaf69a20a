"""Cancels, holds and releases jobs that are queued or running."""

import contextlib
import time
from collections.abc import Callable
from pathlib import PurePosixPath

from hpcbrew import layout
from hpcbrew.address import Address
from hpcbrew.errors import RequestError, SchedulerError, TransportError, Unanswered
from hpcbrew.job import JobRecord, JobState, JobStatus
from hpcbrew.schedulers.pbs import Pbs
from hpcbrew.track import refresh
from hpcbrew.track.ledger import Ledger
from hpcbrew.track.refresh import Site, TrackedJob
from hpcbrew.track.status import after_hold, after_release, suspended

Command = Callable[[Pbs], Callable[[str], tuple[str, ...]]]

PATIENCE = 3.0
"""Seconds to wait for the end of a cancelled job."""

LOOK = 0.2
"""Seconds between two queries of it on this machine. A cluster is asked twice, at the beginning and the end."""

Sites = dict[Address, Site | TransportError]
"""Open connections, to be shared by several jobs; or why one could not be made, so that it is not tried for each."""


def cancel(record: JobRecord, ledger: Ledger, sites: Sites | None = None, *, patience: float = PATIENCE) -> str:
    """Cancels a job, or all links of a chain, and waits for its end for `patience` seconds. Returns a description of
    the outcome."""
    site, tracked = _site_and_job(record, ledger, sites)
    if tracked.record.status.state.final:
        return f"has ended already: {tracked.record.status.state}"
    _check_confirmed(tracked, "cancelled")
    ledger.cancel_asked(record.token, asked=True)
    with contextlib.suppress(TransportError):  # only matters if a next link of the chain is just being submitted
        site.transport.add_files(record.run_folder, {PurePosixPath(layout.CANCELLED): b""})
    try:
        existed = _change_all(site, tracked, lambda s: s.delete_command)
    except SchedulerError:  # refused: the job goes on as if nothing had been asked
        ledger.cancel_asked(record.token, asked=False)
        with contextlib.suppress(TransportError):
            site.transport.run(["rm", "-f", "--", layout.CANCELLED], record.run_folder, idempotent=True)
        raise
    return _ended(site, tracked, ledger, patience) if existed else "had ended before it could be cancelled"


def _ended(site: Site, tracked: TrackedJob, ledger: Ledger, patience: float) -> str:
    """Describes what has become of a cancelled job, which may write a snapshot before it ends."""
    until = time.monotonic() + patience
    pause = LOOK if tracked.record.address.transport == "local" else PATIENCE
    with contextlib.suppress(TransportError):  # the job was told to end all the same
        while not (status := _now(site, tracked, ledger)).state.final and time.monotonic() + pause <= until:
            time.sleep(pause)
        if status.state.final:
            return str(status.state) if status.state is JobState.CANCELLED else f"had ended by then: {status.state}"
    return "is ending; hpcbrew status shows when it has ended"


def hold(record: JobRecord, ledger: Ledger, sites: Sites | None = None) -> str:
    """Keeps a queued job from starting. Returns a description of the outcome. Raises RequestError for a job that runs
    or has ended."""
    site, tracked = _site_and_job(record, ledger, sites)
    _check(tracked, "held")
    if tracked.record.status.state in (JobState.RUNNING, JobState.ENDING) and len(tracked.live) == 1:
        raise RequestError("is running already; only a queued job can be held")
    if suspended(tracked.record.status):
        raise RequestError("has started and is suspended; only a queued job can be held")
    if not _change_all(site, tracked, lambda s: s.hold_command):
        return "had ended before it could be held"
    return after_hold(_now(site, tracked, ledger), links=len(tracked.live))


def release(record: JobRecord, ledger: Ledger, sites: Sites | None = None) -> str:
    """Releases a held job. Returns a description of the outcome. Raises RequestError for a job that has ended."""
    site, tracked = _site_and_job(record, ledger, sites)
    _check(tracked, "released")
    if not _change_all(site, tracked, lambda s: s.release_command):
        return "had ended before it could be released"
    return after_release(_now(site, tracked, ledger))


def _now(site: Site, tracked: TrackedJob, ledger: Ledger) -> JobStatus:
    """Returns the state of a job after PBS accepted a change to it: PBS also accepts changes that have no effect."""
    return refresh.look(site, [tracked.record], ledger)[0].record.status


def _site_and_job(record: JobRecord, ledger: Ledger, sites: Sites | None) -> tuple[Site, TrackedJob]:
    sites, address = {} if sites is None else sites, record.address
    site = sites.get(address) or refresh.reach(address)
    if isinstance(site, TransportError):
        raise site
    try:
        (tracked,) = refresh.look(site, [record], ledger)
    except TransportError as error:
        sites.setdefault(address, error)
        raise
    sites[address] = site
    return site, tracked


def _check(tracked: TrackedJob, verb: str) -> None:
    status = tracked.record.status
    if status.state.final:
        raise RequestError(f"has ended already ({status.state}) and cannot be {verb}")
    _check_confirmed(tracked, verb)


def _check_confirmed(tracked: TrackedJob, verb: str) -> None:
    """A job that is not known to the scheduler may still reach it: qsub may be at work. Raises RequestError."""
    if not tracked.live:
        reason = tracked.trouble or "was not yet confirmed by the scheduler"
        raise RequestError(f"{reason}, and cannot be {verb}; hpcbrew status checks again")


def _change_all(site: Site, tracked: TrackedJob, command: Command) -> bool:
    """Runs the command for each of the job's ids, later links of a chain first, since the end of one would start the
    next. Returns whether any of them still existed.

    Raises Unanswered if the outcome is unknown.
    """
    existed = False
    for job_id in reversed(tracked.live):
        try:
            answer = site.transport.run(command(site.scheduler)(job_id), PurePosixPath("/"))
        except Unanswered as error:
            advice = f"hpcbrew status {job_id} will show whether it took effect"
            raise Unanswered(error.machine, error.task, error.seconds, advice) from None
        existed |= site.scheduler.parse_change(answer)
    return existed
