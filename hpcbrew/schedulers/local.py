"""The queue on this machine, where `hpcbrew.localqueue` answers PBS's commands."""

import sys

from hpcbrew.schedulers.pbs import Pbs


def scheduler(slots: int) -> Pbs:
    """`python -P` keeps modules from being imported from the current folder, which is a run folder."""
    prefix = (sys.executable, "-P", "-m", "hpcbrew.localqueue", "--slots", str(slots))
    return Pbs(prefix=prefix, form="json", one_by_one=False, selects=False)
