"""`hpcbrew logs`."""

import json
import sys

import click

from hpcbrew import follow as following
from hpcbrew import runfolder, watch
from hpcbrew.cli.arguments import job_argument, json_option
from hpcbrew.ledger import Ledger


@click.command()
@job_argument()
@click.option("-f", "--follow", is_flag=True, help="Go on until the job ends, and end with its exit status.")
@click.option("-n", "--lines", type=click.IntRange(min=0), help="Show the last N lines only.", metavar="N")
@click.option("--err", is_flag=True, help="Show what the scheduler itself had to say (scheduler.log).")
@click.option("--rank", type=click.IntRange(min=0), metavar="K", help="The log of node K; node 0 has the job's own.")
@json_option
def command(job: str, follow: bool, lines: int | None, err: bool, rank: int | None, as_json: bool) -> None:
    """Show the log of a JOB, named by id, name or token.

    With -f it goes on through dropped connections, until the job ends, and ends with the job's exit status.

    \b
    Examples:
      hpcbrew logs lenet
      hpcbrew logs -f -n 20 12.pbshpc
      hpcbrew logs '13[4]' --rank 1
    """
    if as_json and follow:
        raise click.UsageError("--json shows a log as it is, and -f as it grows: give one of them")
    ledger = Ledger()
    record = ledger.find(job)
    site = watch.reach(record.address)
    log = record.run_folder / (runfolder.SCHEDULER_LOG if err else runfolder.rank_log(rank or 0))
    data = site.transport.read(log)
    if data is None and not follow and not as_json:
        standing = watch.look(site, [record], ledger)[0].record.standing
        reason = f" ({standing.reason})" if standing.reason else ""
        click.echo(f"hpcbrew: {record.name} has written no {log.name} yet; it is {standing.state}{reason}", err=True)
        return
    data = data or b""
    if as_json:
        text = following.last_lines(data, lines) if lines is not None else data
        shown = {**record.as_json(), "log": str(log), "lines": text.decode(errors="replace").splitlines()}
        click.echo(json.dumps(shown, indent=2))
        return
    out = sys.stdout.buffer
    out.write(data if lines is None else following.last_lines(data, lines))
    out.flush()
    if follow:
        raise SystemExit(following.log(record, site, ledger, log, len(data), out))
