"""What is done to a job that is in the queue or runs: cancelled, held, released."""

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
"""Seconds that one waits for the end of a job that was cancelled."""

LOOK = 0.2
"""Seconds between two looks at it on this machine. A cluster is asked twice, at the begin and the end."""

Sites = dict[Address, Site | TransportError]
"""Connections that stand, for several jobs in turn; or why there is none: a login is not tried again for each."""


def cancel(record: JobRecord, ledger: Ledger, sites: Sites | None = None, *, patience: float = PATIENCE) -> str:
    """Asks for the end of a job, of all its links where it is a chain, and waits for it for `patience` seconds. Returns
    what came of it, in words."""
    site, seen = _seen(record, ledger, sites)
    if seen.record.status.state.final:
        return f"has ended already: {seen.record.status.state}"
    _check_confirmed(seen, "cancelled")
    ledger.cancel_asked(record.token, asked=True)
    with contextlib.suppress(TransportError):  # it is for a further job of a chain that is being submitted just now
        site.transport.add_files(record.run_folder, {PurePosixPath(layout.CANCELLED): b""})
    try:
        found = _each(site, seen, lambda s: s.delete_command)
    except SchedulerError:  # refused: the job goes on as if nothing had been asked
        ledger.cancel_asked(record.token, asked=False)
        with contextlib.suppress(TransportError):
            site.transport.run(["rm", "-f", "--", layout.CANCELLED], record.run_folder, idempotent=True)
        raise
    return _ended(site, seen, ledger, patience) if found else "had ended before it could be cancelled"


def _ended(site: Site, seen: TrackedJob, ledger: Ledger, patience: float) -> str:
    """What has become of a job whose end was asked for, and which may write a snapshot first."""
    until = time.monotonic() + patience
    pause = LOOK if seen.record.address.transport == "local" else PATIENCE
    with contextlib.suppress(TransportError):  # it has been asked for all the same
        while not (now := _now(site, seen, ledger)).state.final and time.monotonic() + pause <= until:
            time.sleep(pause)
        if now.state.final:
            return str(now.state) if now.state is JobState.CANCELLED else f"had ended by then: {now.state}"
    return "is ending; hpcbrew status shows when it has ended"


def hold(record: JobRecord, ledger: Ledger, sites: Sites | None = None) -> str:
    """Keeps a job that waits from being started. Raises RequestError for one that runs, or has ended."""
    site, seen = _seen(record, ledger, sites)
    _check(seen, "held")
    if seen.record.status.state in (JobState.RUNNING, JobState.ENDING) and len(seen.live) == 1:
        raise RequestError("runs already, and only a job that waits can be held")
    if suspended(seen.record.status):
        raise RequestError("has begun and is suspended, and only a job that waits can be held")
    if not _each(site, seen, lambda s: s.hold_command):
        return "had ended before it could be held"
    return after_hold(_now(site, seen, ledger), links=len(seen.live))


def release(record: JobRecord, ledger: Ledger, sites: Sites | None = None) -> str:
    """Lets a held job go. Raises RequestError for one that has ended."""
    site, seen = _seen(record, ledger, sites)
    _check(seen, "released")
    if not _each(site, seen, lambda s: s.release_command):
        return "had ended before it could be released"
    return after_release(_now(site, seen, ledger))


def _now(site: Site, seen: TrackedJob, ledger: Ledger) -> JobStatus:
    """What has become of a job that PBS took a change of: it takes some that change nothing."""
    return refresh.look(site, [seen.record], ledger)[0].record.status


def _seen(record: JobRecord, ledger: Ledger, sites: Sites | None) -> tuple[Site, TrackedJob]:
    sites, address = {} if sites is None else sites, record.address
    site = sites.get(address) or refresh.reach(address)
    if isinstance(site, TransportError):
        raise site
    try:
        (seen,) = refresh.look(site, [record], ledger)
    except TransportError as error:
        sites.setdefault(address, error)
        raise
    sites[address] = site
    return site, seen


def _check(seen: TrackedJob, verb: str) -> None:
    status = seen.record.status
    if status.state.final:
        raise RequestError(f"has ended already ({status.state}), and cannot be {verb}")
    _check_confirmed(seen, verb)


def _check_confirmed(seen: TrackedJob, verb: str) -> None:
    """That a job is not known there does not mean that it is not there: qsub may be at work."""
    if not seen.live:
        why = seen.trouble or "was not yet confirmed by the scheduler"
        raise RequestError(f"{why}, and cannot be {verb}; hpcbrew status looks again")


def _each(site: Site, seen: TrackedJob, command: Command) -> bool:
    """Later links of a chain first: the end of one would let the next begin. Whether any of them was still there.

    Raises Unanswered where nobody can tell what came of it.
    """
    found = False
    for job_id in reversed(seen.live):
        try:
            answer = site.transport.run(command(site.scheduler)(job_id), PurePosixPath("/"))
        except Unanswered as error:
            advice = f"Whether it was obeyed, hpcbrew status {job_id} will tell"
            raise Unanswered(error.where, error.what, error.seconds, advice) from None
        found |= site.scheduler.parse_change(answer)
    return found
