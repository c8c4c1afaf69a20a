"""Removes unfinished installations, left by a cut connection or a closed laptop, at the next setup.

Another setup may be running at the same time, on this machine or another: its folder is left alone.
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
"""Seconds of silence allowed for a pass through an installation of tens of thousands of files."""

MAKER = "engine.maker"
"""The file in a folder that names the process making it; not used once the installation is complete."""

# The names that setup gives to its folders: others are the user's.
OURS = re.compile(r"[\w.+-]+-[0-9a-f]{8}|[0-9a-f]{32}")
PID = re.compile("[1-9][0-9]{0,8}")

# $1: a folder of folders; $2: a file that a finished one has; $3: MAKER. Prints for each folder without that file: its
# name, its maker, and something in it that has changed within a day.
SURVEY = r"""
cd -- "$1" 2>/dev/null || exit 0
for one in */; do
    one=${one%/}
    [ -d "$one" ] && [ ! -e "$one/$2" ] || continue
    maker=$(head -n 1 -- "$one/$3" 2>/dev/null)
    printf '@left\t%s\t%s\t%s\n' "$one" "$maker" "$(find "./$one" -mmin -1440 -print -quit)"
done
"""
# After a cut, the installation may still be running there and write into the folder being removed: it is killed first.
# The folder is passed as two words, $1 and $2, so that this command does not match itself.
REMOVE = 'pkill -f -- "$1/$2/" 2>/dev/null; rm -rf -- "$1/$2" 2>/dev/null || { sleep 2; rm -rf -- "$1/$2"; }'


def maker() -> str:
    """Returns the name of this process for `MAKER`."""
    return f"{socket.gethostname()} {os.getpid()}"


def clear(transport: Transport, folder: PurePosixPath, marker: str, report: Report) -> None:
    """Removes folders in `folder` that lack the file `marker` and on which nobody is working. Reports what it
    removed."""
    command = ["bash", "-c", SURVEY, "bash", str(folder), marker, MAKER]
    for line in transport.run(command, PurePosixPath("/"), idle_timeout=IDLE_TIMEOUT).out.splitlines():
        kind, *row = line.split("\t")
        if kind != "@left" or len(row) != 3:  # login noise
            continue
        name, made_by, changed = row
        if OURS.fullmatch(name) and (_dead(made_by) or not changed):
            remove(transport, folder / name)
            report(f"removed {folder / name}, which was never finished")


def remove(transport: Transport, folder: PurePosixPath) -> CommandResult:
    """Removes a folder even if something may still be writing into it."""
    command = ["bash", "-c", REMOVE, "bash", str(folder.parent), folder.name]
    return transport.run(command, PurePosixPath("/"), idle_timeout=IDLE_TIMEOUT)


def _dead(made_by: str) -> bool:
    """Whether it was a process of this machine that no longer exists."""
    host, _, pid = made_by.partition(" ")
    if host != socket.gethostname() or not PID.fullmatch(pid):
        return False
    with contextlib.suppress(PermissionError):
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            return True
    return False
