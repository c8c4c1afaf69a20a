"""Shows jobs like `qstat -f -F json`."""

import json
import time
from collections import Counter
from collections.abc import Mapping

from hpcbrew.localqueue.store import SUFFIX, Job
from hpcbrew.units import clock


def show(jobs: list[Job], members: Mapping[int, list[Job]]) -> str:
    """Returns the JSON that qstat prints; without jobs it has no "Jobs". `members`: the jobs of each array."""
    answer: dict[str, object] = {"timestamp": int(time.time()), "pbs_version": "hpcbrew", "pbs_server": "local"}
    if jobs:
        answer["Jobs"] = {job.id: _attributes(job) | _of_array(job, members.get(job.seq, [])) for job in jobs}
    return json.dumps(answer, indent=4)


def _attributes(job: Job) -> dict[str, object]:
    attributes: dict[str, object] = {
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
        attributes["depend"] = job.options["depend"]
    if job.stime is not None:
        attributes |= {"stime": time.ctime(job.stime), "run_count": 1}
        attributes["resources_used"] = {"walltime": clock((job.etime or time.time()) - job.stime)}
    if job.comment:
        attributes["comment"] = job.comment
    if job.exit_status is not None:
        attributes["Exit_status"] = job.exit_status
    return attributes


def _of_array(job: Job, members: list[Job]) -> dict[str, object]:
    """Returns the attributes of arrays and their jobs: for an array, how many of its jobs are in which state. An array
    has started once one of its jobs has."""
    if job.array_of is not None:
        return {"array_id": f"{job.array_of}[]{SUFFIX}", "array_index": job.options["array_index"]}
    if not job.is_array:
        return {}
    count = Counter(member.state for member in members)
    held = {"job_state": "H"} if count["H"] == len(members) else {}
    state = {"job_state": "B"} if job.state != "F" and count["R"] + count["F"] else held
    counts = f"Queued:{count['Q'] + count['H']} Running:{count['R']} Exiting:0 Expired:{count['F']}"
    return {**state, "array": "True", "array_state_count": counts}
