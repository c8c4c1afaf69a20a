"""`hpcbrew status`."""

import sys
import time
from contextlib import suppress
from fnmatch import fnmatchcase

import click

from hpcbrew.address import Address
from hpcbrew.cli import tables
from hpcbrew.cli.options import complete_job, json_option
from hpcbrew.cli.output import DETACHED, figure, say, say_json, tell, warn
from hpcbrew.errors import HpcbrewError, LedgerError
from hpcbrew.job import JobRecord, JobState
from hpcbrew.track.lasting import wait
from hpcbrew.track.ledger import Ledger
from hpcbrew.track.outcome import Outcome
from hpcbrew.track.refresh import Site, TrackedJob, as_kept, look_back, reach, refresh
from hpcbrew.units import span

LOCAL, REMOTE = 2, 15  # seconds between two queries of --watch: of this machine alone; of clusters
RECENT = 7 * 24 * 3600  # seconds after its submission for which an ended job is shown without --all

HEADS = ("ID", "NAME", "CLUSTER", "STATE", "ITERATION", "LOSS", "BEST TEST", "TIME", "ENDED", "NOTE")


@click.command()
@click.argument("jobs", nargs=-1, metavar="[JOB]...", shell_complete=complete_job)
@click.option("--all", "show_all", is_flag=True, help="Also show ended jobs that were submitted more than a week ago.")
@click.option("-n", "count", type=click.IntRange(min=1), metavar="N", help="Show only the newest N jobs.")
@click.option("--failed", is_flag=True, help="Show only jobs that ended without being done.")
@click.option("--watch", is_flag=True, help="Refresh until all have ended.")
@json_option
def command(jobs: tuple[str, ...], show_all: bool, count: int | None, failed: bool, watch: bool, as_json: bool) -> None:
    """Show your jobs, newest last: those named by id, name, token or pattern, or all that have not ended and all of
    the last week.

    TIME is the time left of a running job, or how long an ended one ran. ENDED is a time of day for today, and a date
    for earlier days. Each cluster is asked once about all of its jobs, lost ones included, since they may turn up
    again. If a cluster does not answer, its jobs are shown as last known, with a warning, and the exit status is 1.
    Name a job of a sweep by its number: '13[4]'. The sweep itself shows the iterations of all its jobs, and the best
    of their losses and tests.

    \b
    Examples:
      hpcbrew status
      hpcbrew status --watch
      hpcbrew status 'lenet*' --failed -n 5
      hpcbrew status lenet '13[4]' --json
    """
    try:
        _show_all(jobs, show_all=show_all, count=count, failed=failed, watch=watch, as_json=as_json)
    except KeyboardInterrupt:
        if not watch:
            raise
        say(err=True)  # Ctrl-C is how one leaves --watch: no message
        raise SystemExit(DETACHED) from None


def _show_all(
    jobs: tuple[str, ...], *, show_all: bool, count: int | None, failed: bool, watch: bool, as_json: bool
) -> None:
    ledger, sites = Ledger(), dict[Address, Site]()
    while True:
        records = _chosen(ledger, jobs, show_all=show_all or count is not None)
        rows = _looked_at(records, ledger, sites, named=bool(jobs))
        rows = [row for row in rows if not failed or _has_failed(row.record)][-(count or 0) :]
        if watch and not as_json and sys.stdout.isatty():
            click.clear()
        _show(rows, as_json=as_json, indent=None if watch else 2, narrowed=bool(jobs or failed))
        troubles = {w.record.cluster: w.trouble for w in rows if w.trouble}
        for cluster, trouble in troubles.items():
            warn(f"{cluster} could not be asked, its jobs are shown as last known: {trouble}")
        for token, fault in ledger.faults.items():
            warn(f"{ledger.path}: the entry of job {token} is damaged, and the job is left out: {fault}")
        if not watch or all(row.record.status.state.final for row in rows):
            break
        wait(LOCAL if all(address.transport == "local" for address in sites) else REMOTE)
    if troubles or ledger.faults:
        raise SystemExit(1)


def _chosen(ledger: Ledger, jobs: tuple[str, ...], *, show_all: bool) -> list[JobRecord]:
    """Returns the requested jobs, oldest first; without names, the recent ones. Raises LedgerError."""
    if jobs:
        records = [record for job in jobs for record in _named(ledger, job)]
        return list({record.token: record for record in records}.values())
    recent = time.time() - RECENT
    return [r for r in ledger.all() if show_all or not r.status.state.final or r.submitted > recent]


def _named(ledger: Ledger, job: str) -> list[JobRecord]:
    if not set("*?") & set(job):
        return [ledger.find(job)]
    records = [r for r in ledger.all() if fnmatchcase(r.name, job) or fnmatchcase(r.id or "", job)]
    if not records:
        raise LedgerError(f"no job's name or id matches {job!r}; hpcbrew status --all lists all jobs")
    return records


def _looked_at(
    records: list[JobRecord], ledger: Ledger, sites: dict[Address, Site], *, named: bool
) -> list[TrackedJob]:
    """Returns the jobs: those that have not ended or were lost as their clusters now report them, the others as last
    known."""
    open_ends = [r for r in records if not r.status.state.final or r.status.state is JobState.LOST]
    by_token = {w.record.token: w for w in refresh(open_ends, ledger, sites)}
    _look_back([r for r in records if r.token not in by_token], ledger, sites, named=named)
    outcomes = ledger.outcomes()
    return [by_token.get(record.token) or as_kept(record, outcomes) for record in records]


def _look_back(ended_jobs: list[JobRecord], ledger: Ledger, sites: dict[Address, Site], *, named: bool) -> None:
    """Reads the outcomes of ended jobs for which the ledger has none yet. For jobs that the user has not `named`, only
    this machine and clusters that are connected anyway are asked."""
    outcomes = ledger.outcomes()
    by_address: dict[Address, list[JobRecord]] = {}
    for record in ended_jobs:
        if record.token not in outcomes and (named or record.address in sites or record.address.transport == "local"):
            by_address.setdefault(record.address, []).append(record)
    for address, records in by_address.items():
        with suppress(HpcbrewError):
            look_back(sites.get(address) or reach(address), records, ledger)


def _has_failed(record: JobRecord) -> bool:
    state = record.status.state
    return state.final and state not in (JobState.DONE, JobState.CANCELLED)


def _show(rows: list[TrackedJob], *, as_json: bool, indent: int | None, narrowed: bool) -> None:
    if as_json:
        say_json([row.as_json() for row in rows], indent=indent)
    elif rows:
        tables.show(HEADS, [_row(row) for row in rows], tables.STATES, spare=("CLUSTER",))
    elif narrowed:
        tell("No such jobs. hpcbrew status --all shows all jobs.")
    else:
        tell("No jobs. Submit one: hpcbrew submit SOLVER --cluster NAME")


def _row(tracked: TrackedJob) -> tuple[str, ...]:
    """Returns the cells below HEADS. The note says why the job is in its state, in the engine's own words if the engine
    refused, and which of its records cannot be read."""
    record, outcome = tracked.record, tracked.outcome
    progress, state = outcome.progress, record.status.state
    words = " ".join(outcome.words.split()) or record.status.reason
    return (
        record.id or "-",
        record.name,
        record.cluster,
        str(state),
        f"{progress.iteration}/{progress.max_iter}" if progress else "",
        figure(progress.loss, "nan") if progress else "",
        _best(outcome),
        _time(outcome, state),
        _when(outcome.ended, time.time()) if outcome.ended else "",
        "; ".join(filter(None, [words, f"({tracked.fault})" if tracked.fault else ""])),
    )


def _when(ended: float, now: float) -> str:
    """Returns the time of day if it was today, or else the day. --json has both, and the year."""
    then, today = time.localtime(ended), time.localtime(now)
    return time.strftime("%H:%M" if then[:3] == today[:3] else "%d %b", then)


def _best(outcome: Outcome) -> str:
    """Returns the best value and its iteration, of an output that is not a loss if there is one."""
    best = outcome.progress.best if outcome.progress else {}
    name = next((name for name in best if "loss" not in name.lower()), next(iter(best), None))
    return f"{name} {figure(best[name].value, 'nan')} at {best[name].iteration}" if name else ""


def _time(outcome: Outcome, state: JobState) -> str:
    if state.final:
        return "" if outcome.ran is None else span(outcome.ran)
    seconds = outcome.progress.seconds_left if outcome.progress and state is JobState.RUNNING else None
    return "" if seconds is None else f"{span(seconds)} left"
