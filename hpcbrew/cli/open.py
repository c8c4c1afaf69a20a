"""`hpcbrew open`."""

import os
import shlex

import click

from hpcbrew.cli.options import job_argument
from hpcbrew.errors import TransportError
from hpcbrew.job import JobRecord
from hpcbrew.track.ledger import Ledger
from hpcbrew.transports import ssh_config
from hpcbrew.transports.login_shell import quoted


@click.command("open")
@job_argument()
def command(job: str) -> None:
    """Open a shell in the run folder of a JOB: on this machine, or on the cluster's login node.

    The OpenSSH client connects, with your own configuration, except that your agent is not forwarded. The exit status
    is the shell's.

    \b
    Examples:
      hpcbrew open lenet
      hpcbrew open 12.pbshpc
    """
    record = Ledger().find(job)
    words = shell(record)
    try:
        if record.address.host is None:
            os.chdir(record.run_folder)
        os.execvp(words[0], words)  # noqa: S606 - an argument list, and a shell is what was asked for
    except OSError as error:
        path = words[0] if error.filename is None else error.filename
        raise TransportError(f"{path}: {error.strerror}: no shell could be opened for {record.name}") from None


def shell(record: JobRecord) -> list[str]:
    """Returns the command for a shell in the job's run folder; a job of this machine needs it to be run from there."""
    if record.address.host is None:
        return [os.environ.get("SHELL") or "/bin/sh"]
    script = f'cd -- {shlex.quote(str(record.run_folder))} && exec "${{SHELL:-/bin/sh}}" -l'
    options = ("-a", "-o", "RemoteCommand=none")  # the cluster's administrators could use the agent's keys
    return ["ssh", "-t", *options, *ssh_config.arguments(record.address.host), f"exec sh -c {quoted(script)}"]
