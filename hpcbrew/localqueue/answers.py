"""A job as `qstat -f -F json` shows it."""

import json
import time

from hpcbrew.localqueue.store import Job
from hpcbrew.quantity import clock


def show(jobs: list[Job]) -> str:
    """The JSON that qstat prints; without jobs it has no "Jobs"."""
    answer: dict[str, object] = {"timestamp": int(time.time()), "pbs_version": "hpcbrew", "pbs_server": "local"}
    if jobs:
        answer["Jobs"] = {job.id: _attributes(job) for job in jobs}
    return json.dumps(answer, indent=4)


def _attributes(job: Job) -> dict[str, object]:
    shown: dict[str, object] = {
        "Job_Name": job.name,
        "job_state": job.state,
        "substate": job.substate,
        "queue": job.options["queue"],
        "ctime": time.ctime(job.ctime),
        "Hold_Types": "u" if job.held else "n",
        "Output_Path": f"{job.workdir}/{job.options.get('output', '')}",
        "Resource_List": {
            "ncpus": job.options["ncpus"],
            **({"walltime": clock(job.options["walltime"])} if "walltime" in job.options else {}),
        },
    }
    if "depend" in job.options:
        shown["depend"] = job.options["depend"]
    if job.stime is not None:
        shown |= {"stime": time.ctime(job.stime), "run_count": 1}
        shown["resources_used"] = {"walltime": clock((job.etime or time.time()) - job.stime)}
    if job.comment:
        shown["comment"] = job.comment
    if job.exit_status is not None:
        shown["Exit_status"] = job.exit_status
    return shown
