"""The queue on this machine: PBS's commands, answered by `hpcbrew.localqueue`."""

import sys

from hpcbrew.schedulers.pbs import Pbs


def scheduler(slots: int) -> Pbs:
    """`python -P` keeps the current folder, a run folder, from standing in for a module."""
    prefix = (sys.executable, "-P", "-m", "hpcbrew.localqueue", "--slots", str(slots))
    return Pbs(prefix=prefix, form="json", one_by_one=False, selects=False)
