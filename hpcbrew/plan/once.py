"""Hands a script to the scheduler exactly once, however often the connection breaks and the command is repeated.

Whoever makes the folder for snapshots calls qsub; the id is on scratch before anyone reads it. A repeated command finds
the id there, or that another is at it, or, where qsub refused, asks anew.
"""

import shlex
from collections.abc import Sequence

from hpcbrew import layout
from hpcbrew.schedulers.pbs import KILLED

BEGUN = "begun"
"""The answer where an earlier attempt has gone to qsub, and its id is not there yet."""

NO_FOLDER = "no folder"
"""The answer where the run folder cannot be written to, as on a full disk: qsub was not called."""

ID_LINE = r"[0-9]+(\[[0-9]*\])?\.[A-Za-z0-9_.-]*[A-Za-z][A-Za-z0-9_.-]*"
"""For grep: a line that is an id with the server's name, wherever a site's qsub prints it among other things."""


def command(qsub: Sequence[str]) -> tuple[str, ...]:
    """To be run in the run folder as often as needed: prints the id, and what else qsub said; or `BEGUN`; or ends as a
    refusing qsub does.

    Only an id is written down as one. A qsub that fails after it has printed an id has submitted the job; one that was
    killed may have.
    """
    snapshots = layout.SNAPSHOTS
    script = (
        f"[ ! -s {layout.ID} ] || exec cat {layout.ID}; "
        f"mkdir {snapshots} 2>/dev/null || {{ [ -d {snapshots} ] || mkdir {snapshots} || {{ echo {NO_FOLDER}; "
        f"exit 1; }}; echo {BEGUN}; exit; }}; "
        f"said=$({shlex.join(qsub)}); status=$?; "
        f"id=$(printf '%s\\n' \"$said\" | tr -d '\\r' | sed 's/^[[:blank:]]*//;s/[[:blank:]]*$//' | "
        f"grep -xE '{ID_LINE}' | sort -u); "
        # Two ids are none: nobody can tell which is this job's.
        f"[ $(printf '%s\\n' \"$id\" | wc -l) -eq 1 ] || id=; "
        f'[ -z "$id" ] || printf "%s\\n" "$id" >{layout.ID}; '
        f'if [ -n "$id" ]; then printf "%s\\n" "$id"; '
        f'elif [ "$status" -eq 0 ]; then printf "%s\\n" "$said"; '
        f"else case $status in {'|'.join(map(str, KILLED))}) ;; *) rmdir {snapshots};; esac; "
        f'[ -z "$said" ] || printf "%s\\n" "$said"; exit $status; fi'
    )
    return ("sh", "-c", script, "qsub")
