"""The scheduler: starts the jobs that can start, notes why the others wait, and closes arrays."""

import signal
import subprocess
import sys
import time
from typing import Any

from support.openpbs import depend
from support.openpbs.resources import kilobytes
from support.openpbs.store import OF_ARRAYS, Job, State, waiting


def advance(state: State) -> None:
    """Does all that can be done now. Called after every change of jobs."""
    depend.settle(state)
    for job in list(state.jobs.values()):
        if job.is_array and job.state in ("Q", "B"):
            _array(state, job)
        elif job.state == "Q":
            _try(state, job)
    for job in state.jobs.values():
        if job.is_array:
            close(state, job)
    depend.settle(state)
    if not state.config.history:
        state.jobs = {job_id: job for job_id, job in state.jobs.items() if job.state != "F"}


def _try(state: State, job: Job) -> bool:
    hindrance = _hindrance(state, job)
    if hindrance is None:
        _start(state, job)
    elif job.attributes.get("comment") != hindrance:
        job.attributes["comment"] = hindrance
    return hindrance is None


def _array(state: State, array: Job) -> None:
    """Starts subjobs of an array, as many at a time as it allows."""
    for index in list(array.own["waiting"]):
        running = sum(1 for job in state.subjobs(array) if job.state in ("R", "E"))
        job = waiting(array, index)
        if job is None or running >= (array.own["most"] or running + 1) or _hindrance(state, job, array):
            break
        begun = _subjob(array, job, index)
        state.jobs[begun.id] = begun
        array.own["waiting"].remove(index)
        _start(state, begun)
        if "stime" not in array.attributes:
            comment = f"Job Array Began at {_minute(time.time())}"
            array.set(job_state="B", substate=70, stime=begun.attributes["stime"], comment=comment)
    if "stime" not in array.attributes and array.own["waiting"] and (why := _hindrance(state, array)):
        array.attributes["comment"] = why
    count(state, array)


def _subjob(array: Job, like: Job, index: int) -> Job:
    left_out = (*OF_ARRAYS, "Checkpoint", "Hold_Types", "Submit_arguments", "Exit_status", "Stageout_status")
    attributes = {k: v for k, v in like.attributes.items() if k not in (*left_out, "comment", "depend")}
    attributes |= {"array_id": array.id, "array_index": index}
    attributes |= {name: array.attributes[name] for name in ("project", "Submit_Host")}
    own = {k: array.own[k] for k in ("seq", "chunks", "home", "workdir", "variables", "executable")}
    return Job(like.id, attributes, {**own, "depend": [], "before": [], "array": array.id, "index": index})


def _hindrance(state: State, job: Job, array: Job | None = None) -> str | None:
    """Why a job cannot start, in the words of its comment; None if it can."""
    queue = state.config.queues[job.attributes["queue"]]
    if queue.get("started") == "False":
        return "Not Running: Queue not started."
    used = taken(state)
    for name, total in (("ncpus", state.config.ncpus), ("ngpus", state.config.ngpus)):
        asked = sum(chunk.get(name, 0) for chunk in (array or job).own["chunks"])
        if asked > total - used[name]:
            never = asked > total
            how, free = ("Can Never Run", total) if never else ("Not Running", total - used[name])
            return f"{how}: Insufficient amount of resource: {name} (R: {asked} A: {free} T: {total})"
    return None


def taken(state: State) -> dict[str, int]:
    """The node's cores and GPUs that running jobs use."""
    running = [job for job in state.jobs.values() if job.state in ("R", "E")]
    return {n: sum(c.get(n, 0) for job in running for c in job.own["chunks"]) for n in ("ncpus", "ngpus")}


def _start(state: State, job: Job) -> None:
    config, now = state.config, time.time()
    job.own["slots"] = _slots(state, job)
    hosts, vnodes, chunks = [], [], job.own["chunks"]
    for chunk, slots in zip(chunks, job.own["slots"], strict=True):
        cores = chunk["ncpus"]
        hosts.append(f"{config.node}/{slots[0]}{f'*{cores}' if cores > 1 else ''}")
        vnodes.append(f"({config.node}:{':'.join(f'{k}={v}' for k, v in _consumed(chunk))})")
    where = "+".join(vnodes)
    job.set(job_state="R", substate=41, stime=now, run_count=1, exec_host="+".join(hosts), exec_vnode=where)
    job.attributes["comment"] = f"Job run at {_minute(now)} on {where}"
    command = [sys.executable, "-S", "-P", "-m", "support.openpbs", str(state.folder), "run", job.id]
    # The new process inherits the blocked SIGTERM: a qdel that comes before it is ready waits.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    with (state.folder / "mom.log").open("ab") as log:
        runner = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            start_new_session=True,
        )
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    job.own["runner"] = runner.pid


def _slots(state: State, job: Job) -> list[list[int]]:
    """The lowest free core numbers, for each chunk."""
    busy = {n for other in state.jobs.values() if other.state in ("R", "E") for s in other.own["slots"] for n in s}
    free = [n for n in range(state.config.ncpus) if n not in busy]
    return [[free.pop(0) for _ in range(chunk["ncpus"])] or [0] for chunk in job.own["chunks"]]


def _consumed(chunk: dict[str, Any]) -> list[tuple[str, Any]]:
    known = [(k, f"{kilobytes(v)}kb" if k == "mem" else v) for k, v in chunk.items()]
    return [(k, v) for k, v in known if k in ("ncpus", "ngpus", "mem")]


def _minute(now: float) -> str:
    return time.strftime("%a %b %d at %H:%M", time.localtime(now))


def count(state: State, array: Job) -> None:
    """Updates an array's counts of subjobs by state, and the indices of those that have not started."""
    states = [job.state for job in state.subjobs(array)]
    states = ["Q" if array.state == "H" and s == "Q" else s for s in states]
    gone = len(array.own["dropped"]) if array.state == "F" else states.count("X")
    array.attributes["array_state_count"] = (
        f"Queued:{states.count('Q')} Running:{states.count('R')} Exiting:{states.count('E')} Expired:{gone}"
    )
    array.attributes["array_indices_remaining"] = _ranges(array.own["waiting"], array.own["indices"])


def _ranges(left: list[int], every: list[int]) -> str:
    """The remaining indices as `3`, `7-10:3`, or `-` for none."""
    if len(left) < 2:
        return str(left[0]) if left else "-"
    step = every[1] - every[0]
    gaps = [i + 1 for i in range(len(left) - 1) if left[i + 1] - left[i] != step]
    parts = [left[a:b] for a, b in zip([0, *gaps], [*gaps, len(left)], strict=True)]
    tail = f":{step}" if step > 1 else ""
    return ",".join(f"{p[0]}-{p[-1]}{tail}" if len(p) > 1 else str(p[0]) for p in parts)


def close(state: State, array: Job) -> None:
    """Ends an array whose subjobs have all ended."""
    jobs = state.subjobs(array)
    ended = [job for job in jobs if job.final]
    if ended and not array.final:
        array.attributes |= {"Stageout_status": 1, "Exit_status": 1 if _any_deleted(ended) else 0}
    if array.final or len(ended) < len(jobs):
        count(state, array)
        return
    now, failed = time.time(), any(job.attributes.get("substate") == 93 for job in jobs)
    substate, how = (91, "terminated") if array.own.get("deleted") else (93, "failed") if failed else (92, "finished")
    comment = array.attributes.get("comment")
    comment = f"{comment} and {how}" if comment else None
    array.set(job_state="F", substate=substate, comment=comment, history_timestamp=int(now))
    if "stime" in array.attributes:
        array.attributes["obittime"] = now
    else:
        del array.attributes["Exit_status"], array.attributes["Stageout_status"]
    for job in jobs:
        if job.id in state.jobs:
            job.attributes["job_state"] = "F"
    count(state, array)


def _any_deleted(jobs: list[Job]) -> bool:
    return any(job.attributes["substate"] == 91 for job in jobs)
