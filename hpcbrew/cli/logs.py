"""`hpcbrew logs`."""

import sys

import click

from hpcbrew import follow as following
from hpcbrew import runfolder, watch
from hpcbrew.cli.arguments import job_argument
from hpcbrew.ledger import Ledger


@click.command()
@job_argument()
@click.option("-f", "--follow", is_flag=True, help="Go on until the job ends, and end with its exit status.")
@click.option("-n", "--lines", type=click.IntRange(min=0), help="Show the last N lines only.", metavar="N")
@click.option("--err", is_flag=True, help="Show what the scheduler itself had to say (scheduler.log).")
def command(job: str, follow: bool, lines: int | None, err: bool) -> None:
    """Show the log of a JOB, named by id, name or token.

    \b
    Examples:
      hpcbrew logs lenet
      hpcbrew logs -f -n 20 12.pbshpc
    """
    ledger = Ledger()
    record = ledger.find(job)
    site = watch.reach(record.address)
    log = record.run_folder / (runfolder.SCHEDULER_LOG if err else runfolder.LOG)
    data = site.transport.read(log)
    if data is None and not follow:
        standing = watch.look(site, [record], ledger)[0].record.standing
        reason = f" ({standing.reason})" if standing.reason else ""
        click.echo(f"hpcbrew: {record.name} has written no {log.name} yet; it is {standing.state}{reason}", err=True)
        return
    out = sys.stdout.buffer
    data = data or b""
    out.write(data if lines is None else following.last_lines(data, lines))
    out.flush()
    if follow:
        raise SystemExit(following.log(record, site, ledger, log, len(data), out))
