"""The environment of a job: PBS's own variables, a few of the submitter's, and those that -v and -V ask for."""

import getpass
import os
import re
from pathlib import Path
from typing import Any

from support.openpbs.config import Config
from support.openpbs.store import Job

PATH = "/bin:/usr/bin"


def submitted(flags: dict[str, str], queue: str, config: Config) -> dict[str, str]:
    """Variable_List, as qsub builds it in the submitter's environment."""
    kept = {name: os.environ.get(name) for name in ("HOME", "LANG", "LOGNAME", "PATH", "MAIL", "SHELL", "TZ")}
    kept |= {"LOGNAME": getpass.getuser(), "SHELL": "/bin/bash"}
    named = {f"PBS_O_{name}": value for name, value in kept.items() if value}
    named |= {"PBS_O_INTERACTIVE_AUTH_METHOD": "resvport", "PBS_O_INTERACTIVE_ENCRYPT_METHOD": ""}
    named |= {"PBS_O_WORKDIR": str(Path.cwd()), "PBS_O_SYSTEM": "Linux"}
    if "V" in flags:
        named |= os.environ
    named |= dict(_variables(flags.get("v", "")))
    return named | {"PBS_O_QUEUE": queue, "PBS_O_HOST": config.server}


def _variables(listed: str) -> list[tuple[str, str]]:
    """Parses a list of variables. A quoted comma is part of a value; a bare name stands for the submitter's value."""
    pairs = []
    for part in re.findall(r"""(?:[^,"']|"[^"]*"|'[^']*')+""", listed):
        name, equals, value = part.partition("=")
        pairs.append((name, re.sub("[\"']", "", value) if equals else os.environ.get(name, "")))
    return pairs


def variable_list(variables: dict[str, str]) -> str:
    """The list as qstat shows it: escaped more than once."""
    escaped = {name: value.replace("\\", "\\" * 4).replace(",", "\\,") for name, value in variables.items()}
    return ",".join(f"{name}={value}" for name, value in escaped.items())


def of_task(job: Job, number: int, node: int, temporary: Path) -> dict[str, str]:
    """The environment of every task of a job, on any node. A task started by pbsdsh gets no more."""
    cores = str(job.own["chunks"][node]["ncpus"])
    index = {"PBS_ARRAY_INDEX": str(job.own["index"]), "PBS_ARRAY_ID": job.own["array"]} if "index" in job.own else {}
    user = getpass.getuser()
    return {
        "HOME": job.own["home"],
        "LOGNAME": user,
        "USER": user,
        "SHELL": "/bin/bash",
        "PATH": PATH,
        "NCPUS": cores,
        "OMP_NUM_THREADS": cores,
        "TMPDIR": str(temporary),
        **index,
        "PBS_ENVIRONMENT": "PBS_BATCH",
        "PBS_JOBCOOKIE": f"{job.own['seq']:032X}",
        "PBS_JOBDIR": job.own["home"],
        "PBS_JOBID": job.id,
        "PBS_JOBNAME": str(job.attributes["Job_Name"]),
        "PBS_MOMPORT": "15003",
        "PBS_NODENUM": str(node),
        "PBS_QUEUE": str(job.attributes["queue"]),
        "PBS_TASKNUM": str(number),
    }


def of_job(job: Job, temporary: Path, nodefile: Path) -> dict[str, str]:
    """The environment of the job's script."""
    variables: dict[str, Any] = job.own["variables"]
    return {**variables, **of_task(job, 1, 0, temporary), "PBS_NODEFILE": str(nodefile)}
