"""Recognizes a cluster's login node, where nothing may run for long: sites kill it, and suspend whoever started it."""

import os
import platform
import shutil
from pathlib import Path

from engine.errors import DeviceError
from engine.job_contract import Variable

JOBS = ("PBS_JOBID", "PBS_ENVIRONMENT", "SLURM_JOB_ID", "LSB_JOBID", "JOB_ID")
"""Variables that schedulers set in a job."""

PBS = (Path("/opt/pbs/bin/qsub"), Path("/etc/pbs.conf"))
"""Where PBS is installed even if it is not on the PATH."""


def refuse() -> None:
    """Raises DeviceError on a machine that has a scheduler's qsub, unless inside one of its jobs."""
    if os.environ.get(Variable.TRAIN_HERE) == "1" or any(os.environ.get(name) for name in JOBS):
        return
    qsub = shutil.which("qsub") or next((str(path) for path in PBS if path.exists()), None)
    if qsub is None:
        return
    raise DeviceError(
        f"{platform.node()} takes jobs ({qsub} is here), but this is not one: nothing may be trained on a login node. "
        "Submit it: hpcbrew submit SOLVER --cluster NAME. Or run it in an interactive job: qsub -I. "
        f"If this machine is yours alone: {Variable.TRAIN_HERE}=1"
    )
