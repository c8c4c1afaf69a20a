"""Tells a cluster's login node, where nothing may run that lasts: sites end it, and suspend who started it."""

import os
import platform
import shutil
from pathlib import Path

from engine.errors import DeviceError
from engine.job_contract import Variable

JOBS = ("PBS_JOBID", "PBS_ENVIRONMENT", "SLURM_JOB_ID", "LSB_JOBID", "JOB_ID")
"""Variables that schedulers set in a job."""

PBS = (Path("/opt/pbs/bin/qsub"), Path("/etc/pbs.conf"))
"""Where PBS lies also for those whose PATH does not lead there."""


def refuse() -> None:
    """Raises DeviceError on a machine that has a scheduler's qsub, outside of any job of it."""
    if os.environ.get(Variable.TRAIN_HERE) == "1" or any(os.environ.get(name) for name in JOBS):
        return
    qsub = shutil.which("qsub") or next((str(path) for path in PBS if path.exists()), None)
    if qsub is None:
        return
    raise DeviceError(
        f"{platform.node()} takes jobs ({qsub} is here), and this is none: on a login node nothing is trained. "
        "Submit it: hpcbrew submit SOLVER --cluster NAME. Or run it in an interactive job: qsub -I. "
        f"If this machine is yours alone: {Variable.TRAIN_HERE}=1"
    )
