"""`hpcbrew logs`."""

import click

from hpcbrew import layout
from hpcbrew.cli import log_view
from hpcbrew.cli.options import job_argument, json_option
from hpcbrew.cli.output import log_output, warn
from hpcbrew.errors import RequestError
from hpcbrew.track import refresh, run_folder
from hpcbrew.track.ledger import Ledger


@click.command()
@job_argument()
@click.option("-f", "--follow", is_flag=True, help="Follow the log until the job ends; exit with its status.")
@click.option("-n", "--lines", type=click.IntRange(min=0), help="Show only the last N lines.", metavar="N")
@click.option("--err", is_flag=True, help="Show the scheduler's own output (scheduler.log).")
@click.option("--rank", type=click.IntRange(min=0), metavar="K", help="Show the log of node K (0: the job's own log).")
@json_option
def command(job: str, follow: bool, lines: int | None, err: bool, rank: int | None, as_json: bool) -> None:
    """Show the log of a JOB, named by id, name or token.

    With -f, follow the log until the job ends, through dropped connections, and exit with the job's status. With -f and
    --json, print an object {"line": …} for each line as it arrives, and at the end the job as status --json does.

    \b
    Examples:
      hpcbrew logs lenet
      hpcbrew logs -f -n 20 12.pbshpc
      hpcbrew logs '13[4]' --rank 1
    """
    ledger = Ledger()
    record = ledger.find(job)
    site = refresh.reach(record.address)
    nodes = run_folder.describe(record, site.transport).nodes if rank else 1
    if rank and rank >= nodes:
        raise RequestError(
            f"--rank {rank}: {record.name} runs on {nodes} node{'s' if nodes > 1 else ''}, counted from 0"
        )
    log = record.run_folder / (layout.SCHEDULER_LOG if err else layout.rank_log(rank or 0))
    out = log_output(as_json=as_json)
    if follow:
        raise SystemExit(log_view.follow(record, site, ledger, log, out, lines=lines, as_json=as_json))
    if not log_view.show(site, log, out, lines=lines, record=record if as_json else None) and not as_json:
        warn(log_view.missing(refresh.look(site, [record], ledger)[0].record, log))
