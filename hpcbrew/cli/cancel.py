"""`hpcbrew cancel`."""

from pathlib import PurePosixPath

import click

from hpcbrew import watch
from hpcbrew.cli.arguments import complete_job
from hpcbrew.errors import HpcbrewError
from hpcbrew.job import JobRecord, JobState, Standing
from hpcbrew.ledger import Ledger


@click.command()
@click.argument("jobs", nargs=-1, required=True, metavar="JOB...", shell_complete=complete_job)
def command(jobs: tuple[str, ...]) -> None:
    """Cancel jobs, named by id, name or token. A name stands for the newest job of that name.

    PBS first asks the job to end (SIGTERM) and kills it some seconds later; `hpcbrew status` shows when it has ended.

    \b
    Examples:
      hpcbrew cancel lenet
      hpcbrew cancel 12.pbshpc 13.pbshpc
    """
    ledger = Ledger()
    troubles = 0
    for record in [ledger.find(job) for job in jobs]:
        try:
            click.echo(f"{record.name} ({record.id or record.token}): {_cancel(record, ledger)}")
        except HpcbrewError as error:
            click.echo(f"hpcbrew: error: {record.name}: {error}", err=True)
            troubles += 1
    if troubles:
        raise SystemExit(2)


def _cancel(record: JobRecord, ledger: Ledger) -> str:
    if record.standing.state.final:
        return f"has ended already: {record.standing.state}"
    site = watch.reach(record.address)
    record = watch.look(site, [record], ledger)[0].record
    if record.standing.state.final:
        return f"has ended already: {record.standing.state}"
    if record.id is None:
        ledger.settle(record.token, Standing(JobState.CANCELLED, "before the scheduler had confirmed it"))
        return "was never confirmed by the scheduler; it is off the list"
    ledger.cancel_asked(record.token)
    answer = site.transport.run(site.scheduler.delete_command(record.id), PurePosixPath("/"))
    if site.scheduler.parse_change(answer):
        return "cancelled"
    return "had ended before it could be cancelled"
