"""qdel, qhold and qrls."""

import getpass
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from support.openpbs import depend, schedule
from support.openpbs.config import Config
from support.openpbs.errors import FINISHED, Refused
from support.openpbs.store import Job, State, opened


def main(command: str, folder: Path, config: Config, arguments: list[str]) -> int:
    """Tries all jobs named, even if some are refused. The exit status is that of the last refusal."""
    said: list[Refused] = []
    history = "-x" in arguments
    with opened(folder, config) as state:
        for job_id in (word for word in arguments if not word.startswith("-")):
            try:
                job = state.find(job_id, command)
                if job.final and history and command == "qdel":
                    _forget(state, job)
                elif job.final:
                    tail = f" {job.id}" if command == "qdel" else ""
                    raise Refused(FINISHED, f"{command}: Job has finished{tail}")
                else:
                    COMMANDS[command](state, job)
            except Refused as refused:
                said.append(refused)
        schedule.advance(state)
    if said:
        raise Refused(said[-1].status, "\n".join(refused.said for refused in said))
    return 0


def _forget(state: State, job: Job) -> None:
    for one in [*(state.subjobs(job) if job.is_array else []), job]:
        state.jobs.pop(one.id, None)


def _delete(state: State, job: Job) -> None:
    if job.is_array:
        job.own["deleted"] = True
        for one in state.subjobs(job):
            if not one.final:
                _delete(state, one)
    elif job.state in ("R", "E"):
        _terminate(state, job)
    elif "array" in job.own:
        _drop(state.jobs[job.own["array"]], job.own["index"])
    else:
        comment = job.attributes.get("comment")
        ended = {"comment": f"{comment} and terminated"} if comment else {}
        job.set(job_state="F", substate=91, history_timestamp=int(time.time()), **ended)


def _terminate(state: State, job: Job) -> None:
    if "deleted_by" in job.own or job.state == "E":
        return
    by = f"{getpass.getuser()}@{state.config.server}"
    job.own["deleted_by"] = by
    if comment := job.attributes.get("comment"):  # qrls removes it
        job.set(comment=f"{comment} and terminated by {by}")
    os.kill(job.own["runner"], signal.SIGTERM)


def _drop(array: Job, index: int) -> None:
    """Deletes a subjob of an array before it has started."""
    array.own["waiting"].remove(index)
    array.own["dropped"].append(index)
    array.set()


def _hold(state: State, job: Job) -> None:
    """Holds a job. A running job continues, but is held from then on."""
    depend.hold(job, "u")
    if job.state not in ("R", "E"):
        job.set(job_state="H", substate=20, **({"etime": None} if "etime" in job.attributes else {}))
    now = time.time()
    job.set(comment=f"Job held by {getpass.getuser()} on {time.ctime(now)}")


def _release(state: State, job: Job) -> None:
    if "u" not in job.attributes["Hold_Types"]:
        return
    if "comment" in job.attributes:
        job.set(comment=None)
    depend.release(job, "u")


COMMANDS: dict[str, Callable[[State, Job], None]] = {"qdel": _delete, "qhold": _hold, "qrls": _release}
