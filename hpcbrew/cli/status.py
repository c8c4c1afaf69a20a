"""`hpcbrew status`."""

import sys
import time

import click

from engine.printable import printable
from hpcbrew.address import Address
from hpcbrew.cli.options import complete_job, json_option
from hpcbrew.cli.output import cell, say, say_json, warn
from hpcbrew.job import JobRecord, JobState
from hpcbrew.track.lasting import wait
from hpcbrew.track.ledger import Ledger
from hpcbrew.track.refresh import Site, TrackedJob, refresh
from hpcbrew.units import clock

LOCAL, REMOTE = 2, 15  # seconds between two looks of --watch: at this machine alone; at clusters
RECENT = 7 * 24 * 3600  # seconds for which an ended job is shown without --all

COLOURS = {
    JobState.RUNNING: "cyan",
    JobState.DONE: "green",
    JobState.FAILED: "red",
    JobState.LOST: "red",
    JobState.NEVER_RAN: "red",
    JobState.OUT_OF_MEMORY: "red",
    JobState.OUT_OF_WALLTIME: "yellow",
    JobState.CANCELLED: "yellow",
}


@click.command()
@click.argument("jobs", nargs=-1, metavar="[JOB]...", shell_complete=complete_job)
@click.option("--all", "show_all", is_flag=True, help="Show jobs that ended more than a week ago too.")
@click.option("--watch", is_flag=True, help="Show them again and again, until all have ended.")
@json_option
def command(jobs: tuple[str, ...], show_all: bool, watch: bool, as_json: bool) -> None:
    """Show your jobs: those named (by id, name or token), or all that run and those of the last week.

    Each cluster is asked once for all its jobs, those that were lost too: they may be found. One that does not answer
    changes nothing: its jobs are shown as last known, with a warning, and the exit status is 1. A job of a sweep is
    named by its number: '13[4]'.

    \b
    Examples:
      hpcbrew status
      hpcbrew status --watch
      hpcbrew status lenet '13[4]' --json
    """
    ledger, sites = Ledger(), dict[Address, Site]()
    while True:
        records = _chosen(ledger, jobs, show_all=show_all)
        open_ends = [r for r in records if not r.status.state.final or r.status.state is JobState.LOST]
        fresh = {w.record.token: w for w in refresh(open_ends, ledger, sites)}
        rows = [fresh.get(record.token) or TrackedJob(record) for record in records]
        if watch and not as_json and sys.stdout.isatty():
            click.clear()
        _show(rows, as_json=as_json, indent=None if watch else 2)
        troubles = {w.record.cluster: w.trouble for w in rows if w.trouble}
        for cluster, trouble in troubles.items():
            warn(f"{cluster} could not be asked, its jobs are shown as last known: {trouble}")
        for token, fault in ledger.faults.items():
            warn(f"{ledger.path}: what it holds of job {token} is damaged, and the job is left out: {fault}")
        if not watch or all(row.record.status.state.final for row in rows):
            break
        wait(LOCAL if all(address.transport == "local" for address in sites) else REMOTE)
    if troubles or ledger.faults:
        raise SystemExit(1)


def _chosen(ledger: Ledger, jobs: tuple[str, ...], *, show_all: bool) -> list[JobRecord]:
    if jobs:
        return [ledger.find(job) for job in jobs]
    recent = time.time() - RECENT
    return [r for r in ledger.all() if show_all or not r.status.state.final or r.submitted > recent]


def _show(rows: list[TrackedJob], *, as_json: bool, indent: int | None) -> None:
    if as_json:
        say_json([row.as_json() for row in rows], indent=indent)
    elif rows:
        _table([_row(row) for row in rows])
    else:
        say("No jobs. Submit one: hpcbrew submit SOLVER --cluster NAME")


def _row(tracked: TrackedJob) -> tuple[str, ...]:
    """Iteration, loss and time left of a job that runs; else, or after them, why it stands as it does; and which of its
    records cannot be read."""
    record, progress = tracked.record, tracked.progress
    said = []
    if progress and record.status.state is JobState.RUNNING:
        said.append(f"{progress.iteration}/{progress.max_iter}")
        if progress.loss is not None:
            said.append(f"loss {progress.loss:.4g}")
        if progress.seconds_left is not None:
            said.append(f"{clock(progress.seconds_left)} left")
    said += [record.status.reason] if record.status.reason else []
    said += [f"({tracked.fault})"] if tracked.fault else []
    named = (record.id or "-", record.name, record.cluster, str(record.status.state))
    return (*map(cell, named), printable(", ".join(said), one_line=True))


def _table(rows: list[tuple[str, ...]]) -> None:
    rows = [("ID", "NAME", "CLUSTER", "STATE", ""), *rows]
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    for row in rows:
        line = "  ".join([*(f"{cell:{width}}" for cell, width in zip(row, widths, strict=False)), row[4]]).rstrip()
        if row[3] in COLOURS:
            start = sum(widths[:3]) + 6
            end = start + len(row[3])
            say(line[:start], (row[3], COLOURS[JobState(row[3])]), line[end:])
        else:
            say(line)
