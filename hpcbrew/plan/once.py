"""Hands a script to the scheduler exactly once, however often the connection breaks and the command is repeated.

Whoever makes the folder for snapshots calls qsub; the id is on scratch before anyone reads it. A repeated command finds
the id there, or that another is at it, or, where qsub refused, asks anew.
"""

import shlex
from collections.abc import Sequence

from hpcbrew import layout

BEGUN = "begun"
"""The answer where an earlier attempt has gone to qsub, and its id is not there yet."""

NO_FOLDER = "no folder"
"""The answer where the run folder cannot be written to, as on a full disk: qsub was not called."""


def command(qsub: Sequence[str]) -> tuple[str, ...]:
    """To be run in the run folder as often as needed: prints the id, or `BEGUN`, or ends as a refusing qsub does."""
    snapshots = layout.SNAPSHOTS
    script = (
        f"[ ! -s {layout.ID} ] || exec cat {layout.ID}; "
        f"mkdir {snapshots} 2>/dev/null || {{ [ -d {snapshots} ] || mkdir {snapshots} || {{ echo {NO_FOLDER}; "
        f"exit 1; }}; echo {BEGUN}; exit; }}; "
        f'if id=$({shlex.join(qsub)}); then printf "%s\\n" "$id" >{layout.ID}; printf "%s\\n" "$id"; '
        f"else status=$?; rmdir {snapshots}; exit $status; fi"
    )
    return ("sh", "-c", script)
