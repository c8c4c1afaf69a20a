"""Checks of the access to a cluster: the connection, what shells print, which commands they find, the clock."""

import re
import time
from collections.abc import Iterator
from pathlib import PurePosixPath

from hpcbrew.check.finding import Checked, Finding, Mark
from hpcbrew.transports.remote_shell import RemoteShell

TOP = PurePosixPath("/")
NEEDED = ("qsub", "qstat", "qdel")
# The line break comes first because what a profile file prints may end without one, as a window title does.
LISTED = 'echo; for name in "$@"; do command -v "$name" >/dev/null || echo "$name"; done'
SKEW = 60.0  # seconds from which times in logs and of files become misleading


def connection(site: Checked) -> Iterator[Finding]:
    answer = site.transport.run(["sh", "-c", "id -un; uname -nsm"], TOP)
    user, _, machine = answer.out.strip().partition("\n")
    yield Finding("connection", Mark.OK, f"{user} on {machine}")


def noise(site: Checked) -> Iterator[Finding]:
    """Checks what a shell without a terminal prints by itself. Scripts cope with that; scp, SFTP and rsync do not."""
    if isinstance(site.transport, RemoteShell):
        answer = site.transport.plain("true")
        text = " ".join(f"{answer.out} {answer.err}".split())
        if text:
            remedy = "in ~/.bashrc there, move what prints it below: [[ $- == *i* ]] || return"
            yield Finding("spurious output", Mark.WARN, f"a plain `ssh HOST true` prints {text[:60]!r}", remedy)
        else:
            yield Finding("spurious output", Mark.OK, "none")


def path(site: Checked) -> Iterator[Finding]:
    """Checks that shells find PBS. Login shells read more profile files than the shells that sshd starts for a command;
    over ssh hpcbrew uses login shells, and on the login node itself the environment that it was started in."""
    if site.cluster.scheduler != "pbs":
        return
    remote = isinstance(site.transport, RemoteShell)
    missing_commands = _listed(site.transport.run(["sh", "-c", LISTED, "sh", *NEEDED], TOP).out)
    if missing_commands:
        shell, place = ("a login shell", "in ~/.bash_profile there") if remote else ("this shell", "to its PATH")
        remedy = f"add PBS {place}, such as: export PATH=/opt/pbs/bin:$PATH"
        yield Finding("PATH", Mark.BAD, f"{shell} does not find {', '.join(missing_commands)}", remedy)
        return
    if isinstance(site.transport, RemoteShell):
        plain_answer = site.transport.plain(f"sh -c '{LISTED}' sh {' '.join(NEEDED)}")
        if _listed(plain_answer.out):
            yield Finding("PATH", Mark.OK, "PBS is found only by login shells, which hpcbrew uses")
            return
    yield Finding("PATH", Mark.OK, "PBS is found, by login shells and others")


def _listed(out: str) -> list[str]:
    """Returns the commands among the words of an answer; other words are login noise."""
    return [word for word in out.split() if word in NEEDED]


def clock(site: Checked) -> Iterator[Finding]:
    """Compares the clocks, knowing only that the remote time was read between the request and the answer."""
    before = time.time()
    words = site.transport.run(["date", "+%s"], TOP).out.split()
    after = time.time()
    if not words or not re.fullmatch("[0-9]{1,15}", words[-1]):
        yield Finding("clock", Mark.WARN, "could not be read", "see what `date +%s` prints there")
        return
    skew = min(int(words[-1]) + 1 - before, 0.0) or max(int(words[-1]) - after, 0.0)
    if abs(skew) > SKEW:
        way = "ahead of" if skew > 0 else "behind"
        remedy = "set this machine's clock by a time server, or tell the site: times in logs will mislead"
        yield Finding("clock", Mark.WARN, f"{abs(skew):.0f} s {way} this machine's", remedy)
        return
    yield Finding("clock", Mark.OK, "agrees with this machine's")
