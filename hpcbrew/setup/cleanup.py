"""Installations that were never finished: a line that was cut, a laptop that was shut. The next setup takes them away.

Another setup may be at work at the same time, on this machine or another: its folder is left alone.
"""

import contextlib
import os
import re
import socket
from pathlib import PurePosixPath

from hpcbrew.command_result import CommandResult
from hpcbrew.setup.report import Report
from hpcbrew.transports.base import Transport

IDLE_TIMEOUT = 10 * 60.0
"""Seconds for one step through an installation: tens of thousands of files."""

MAKER = "engine.maker"
"""Says in a folder which process makes it; of no use once it is whole."""

# What setup calls its folders: others are the user's.
OURS = re.compile(r"[\w.+-]+-[0-9a-f]{8}|[0-9a-f]{32}")
PID = re.compile("[1-9][0-9]{0,8}")

# $1: a folder of folders; $2: a file that a finished one has; $3: MAKER. Prints of each that has it not: its name, its
# maker, and something in it that has changed within a day.
SURVEY = r"""
cd -- "$1" 2>/dev/null || exit 0
for one in */; do
    one=${one%/}
    [ -d "$one" ] && [ ! -e "$one/$2" ] || continue
    maker=$(head -n 1 -- "$one/$3" 2>/dev/null)
    printf '@left\t%s\t%s\t%s\n' "$one" "$maker" "$(find "./$one" -mmin -1440 -print -quit)"
done
"""
# What was cut off goes on there, and writes into the folder that is being taken away: it is ended first. The folder
# comes in two words, $1 and $2, so that this command is not one of those that name it.
REMOVE = 'pkill -f -- "$1/$2/" 2>/dev/null; rm -rf -- "$1/$2" 2>/dev/null || { sleep 2; rm -rf -- "$1/$2"; }'


def maker() -> str:
    """This process, as `MAKER` names it."""
    return f"{socket.gethostname()} {os.getpid()}"


def clear(transport: Transport, folder: PurePosixPath, finished: str, report: Report) -> None:
    """Takes away what is in `folder`, lacks the file `finished`, and nobody works on. Reports what was taken away."""
    command = ["bash", "-c", SURVEY, "bash", str(folder), finished, MAKER]
    for line in transport.run(command, PurePosixPath("/"), idle_timeout=IDLE_TIMEOUT).out.splitlines():
        kind, *row = line.split("\t")
        if kind != "@left" or len(row) != 3:  # login noise
            continue
        name, made_by, changed = row
        if OURS.fullmatch(name) and (_dead(made_by) or not changed):
            remove(transport, folder / name)
            report(f"took away {folder / name}, which was never finished")


def remove(transport: Transport, folder: PurePosixPath) -> CommandResult:
    """Takes a folder away though something may still write into it."""
    command = ["bash", "-c", REMOVE, "bash", str(folder.parent), folder.name]
    return transport.run(command, PurePosixPath("/"), idle_timeout=IDLE_TIMEOUT)


def _dead(made_by: str) -> bool:
    """Whether it was a process of this machine that is no more."""
    host, _, pid = made_by.partition(" ")
    if host != socket.gethostname() or not PID.fullmatch(pid):
        return False
    with contextlib.suppress(PermissionError):
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            return True
    return False
