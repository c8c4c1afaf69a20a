"""`hpcbrew status`."""

import json
import time

import click

from hpcbrew.cli.arguments import complete_job, json_option
from hpcbrew.job import JobRecord, JobState
from hpcbrew.ledger import Ledger
from hpcbrew.quantity import clock
from hpcbrew.runfolder import Progress
from hpcbrew.watch import refresh

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
@json_option
def command(jobs: tuple[str, ...], show_all: bool, as_json: bool) -> None:
    """Show your jobs: those named (by id, name or token), or all that run and those of the last week.

    Each cluster is asked once for all its jobs. One that does not answer changes nothing: its jobs are shown as last
    known, with a warning, and the exit status is 1.

    \b
    Examples:
      hpcbrew status
      hpcbrew status lenet --json
    """
    ledger = Ledger()
    records = [ledger.find(job) for job in jobs] or ledger.all()
    if not jobs and not show_all:
        records = [r for r in records if not r.standing.state.final or r.submitted > time.time() - RECENT]
    live = [r for r in records if not r.standing.state.final]
    fresh = {}
    if live:
        fresh = {w.record.token: w for w in refresh(live, ledger)}
    rows = []
    for record in records:
        seen = fresh.get(record.token)
        rows.append((seen.record if seen else record, seen.progress if seen else None))
    if as_json:
        click.echo(json.dumps([{**r.as_json(), "progress": p.__dict__ if p else None} for r, p in rows], indent=2))
    elif rows:
        _table([_row(record, progress) for record, progress in rows])
    else:
        click.echo("No jobs. Submit one: hpcbrew submit SOLVER --cluster NAME")
    troubles = {w.record.cluster: w.trouble for w in fresh.values() if w.trouble}
    for cluster, trouble in troubles.items():
        click.echo(f"hpcbrew: {cluster} could not be asked, its jobs are shown as last known: {trouble}", err=True)
    if troubles:
        raise SystemExit(1)


def _row(record: JobRecord, progress: Progress | None) -> tuple[str, ...]:
    going = ""
    if progress and record.standing.state is JobState.RUNNING:
        going = f"{progress.iteration}/{progress.max_iter}"
        if progress.seconds_left is not None:
            going += f", {clock(progress.seconds_left)} left"
    reason = record.standing.reason or going
    return record.id or "-", record.name, record.cluster, str(record.standing.state), reason


def _table(rows: list[tuple[str, ...]]) -> None:
    rows = [("ID", "NAME", "CLUSTER", "STATE", ""), *rows]
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    for row in rows:
        line = "  ".join([*(f"{cell:{width}}" for cell, width in zip(row, widths, strict=False)), row[4]]).rstrip()
        if row[3] in COLOURS:
            start = sum(widths[:3]) + 6
            end = start + len(row[3])
            line = line[:start] + click.style(row[3], fg=COLOURS[JobState(row[3])]) + line[end:]
        click.echo(line)
