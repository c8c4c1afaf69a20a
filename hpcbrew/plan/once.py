"""Hands a script to the scheduler exactly once, however often the connection breaks and the command is repeated.

Whichever attempt creates the folder for snapshots calls qsub, and writes the id to scratch before anyone reads it. A
repeated command finds that id, or finds that another attempt is at work, or, if qsub refused, submits again.
"""

import shlex
from collections.abc import Sequence

from hpcbrew import layout
from hpcbrew.schedulers.pbs import KILLED

BEGUN = "begun"
"""Printed if an earlier attempt has called qsub and its id is not there yet."""

NO_FOLDER = "no folder"
"""Printed if the run folder cannot be written to, as on a full disk; qsub was not called."""

ID_LINE = r"[0-9]+(\[[0-9]*\])?\.[A-Za-z0-9_.-]*[A-Za-z][A-Za-z0-9_.-]*"
"""A pattern for grep: a line that is a job id with the server's name; a site's qsub may print other lines around it."""


def command(qsub: Sequence[str]) -> tuple[str, ...]:
    """Returns the command to run in the run folder, as often as needed. It prints the id, or what qsub said if no id is
    found in it; or `BEGUN` or `NO_FOLDER`; or fails as the refusing qsub did.

    Only a line that is an id is recorded as one. A qsub that fails after printing an id has submitted the job; one that
    was killed may have.
    """
    snapshots = layout.SNAPSHOTS
    script = (
        f"[ ! -s {layout.ID} ] || exec cat {layout.ID}; "
        f"mkdir {snapshots} 2>/dev/null || {{ [ -d {snapshots} ] || mkdir {snapshots} || {{ echo {NO_FOLDER}; "
        f"exit 1; }}; echo {BEGUN}; exit; }}; "
        f"said=$({shlex.join(qsub)}); status=$?; "
        f"id=$(printf '%s\\n' \"$said\" | tr -d '\\r' | sed 's/^[[:blank:]]*//;s/[[:blank:]]*$//' | "
        f"grep -xE '{ID_LINE}' | sort -u); "
        # Two ids count as none, since it is unknown which is this job's.
        f"[ $(printf '%s\\n' \"$id\" | wc -l) -eq 1 ] || id=; "
        f'[ -z "$id" ] || printf "%s\\n" "$id" >{layout.ID}; '
        f'if [ -n "$id" ]; then printf "%s\\n" "$id"; '
        f'elif [ "$status" -eq 0 ]; then printf "%s\\n" "$said"; '
        f"else case $status in {'|'.join(map(str, KILLED))}) ;; *) rmdir {snapshots};; esac; "
        f'[ -z "$said" ] || printf "%s\\n" "$said"; exit $status; fi'
    )
    return ("sh", "-c", script, "qsub")
