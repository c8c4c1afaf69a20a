"""depend=afterok:… and the like. The system holds a job that waits for another, and ends one that waits in vain."""

import time

from support.openpbs.options import AFTER
from support.openpbs.store import ID, Job, State

NEVER = 92  # the substate of a job whose dependency cannot be met; it is also that of a job that ended well


def register(state: State, job: Job) -> None:
    """Records the dependencies of a new job, in both jobs."""
    if not job.own["depend"]:
        return
    job.own["depend"] = [(kind, [_full(state, i) for i in ids]) for kind, ids in job.own["depend"]]
    for kind, ids in job.own["depend"]:
        for other in (state.jobs.get(i) for i in ids):
            if other is not None and not other.final:
                other.own["before"].append(f"{AFTER[kind]}:{job.id}@{state.config.server}")
                _write(state, other)
    hold(job, "s")
    job.set(job_state="H", substate=22 if job.attributes["Hold_Types"] == "s" else 20, etime=None)
    _write(state, job)


def settle(state: State) -> None:
    """Releases or ends the jobs that need not wait any more, repeatedly, since ending one may end another."""
    changed = True
    while changed:
        changed = False
        for job in state.jobs.values():
            if job.own.get("depend") and not job.final:
                changed |= _settle(state, job)


def _settle(state: State, job: Job) -> bool:
    verdicts = {i: _met(state.jobs.get(i), kind) for kind, ids in job.own["depend"] for i in ids}
    if False in verdicts.values():
        job.own["depend"] = []
        job.set(job_state="F", substate=NEVER, etime=None, comment=None, history_timestamp=int(time.time()))
        return True
    left = [(kind, [i for i in ids if verdicts[i] is None]) for kind, ids in job.own["depend"]]
    left = [(kind, ids) for kind, ids in left if ids]
    if left == job.own["depend"]:
        return False
    job.own["depend"] = left
    _write(state, job)
    if not left:
        release(job, "s")
    return True


def _met(other: Job | None, kind: str) -> bool | None:
    """Whether the dependency is met; None if that is not known yet. A job that never ran did not end well."""
    if other is None:
        return False
    if kind == "after":
        return True if "stime" in other.attributes else False if other.final else None
    if not other.final:
        return None
    well = other.attributes.get("Exit_status") == 0
    return {"afterok": well, "afternotok": not well, "afterany": True}[kind]


def hold(job: Job, kind: str) -> None:
    kinds = set(job.attributes["Hold_Types"]) - {"n"} | {kind}
    job.attributes["Hold_Types"] = "".join(sorted(kinds, key="uos".index))


def release(job: Job, kind: str) -> None:
    """Removes one kind of hold. Once none is left, a job that has not started is queued."""
    left = job.attributes["Hold_Types"].replace(kind, "") or "n"
    job.attributes["Hold_Types"] = left
    if job.state == "H" and left == "n":
        begun = job.is_array and "stime" in job.attributes
        job.set(job_state="B" if begun else "Q", substate=70 if begun else 10, etime=time.time())
    elif job.state == "H":
        job.set(substate=22 if left == "s" else 20)


def _full(state: State, job_id: str) -> str:
    match = ID.match(job_id)
    assert match is not None
    return job_id if match["server"] else f"{job_id}.{state.config.server}"


def _write(state: State, job: Job) -> None:
    server = state.config.server
    clauses = [":".join([kind, *(f"{i}@{server}" for i in ids)]) for kind, ids in job.own["depend"]]
    job.attributes["depend"] = ",".join([*clauses, *job.own["before"]]) or None
    if job.attributes["depend"] is None:
        del job.attributes["depend"]
