import json
from typing import Any

import pytest

from hpcbrew.localqueue import qstat_json
from hpcbrew.localqueue.store import Job


def job(seq: int = 12, state: str = "Q", **values: Any) -> Job:
    options = {"queue": "local", "ncpus": 1, **values.pop("options", {})}
    row: dict[str, Any] = {"name": "lenet", "substate": 10, "workdir": "/runs/lenet", "environment": {}, "comment": ""}
    row |= dict.fromkeys(("exit_status", "deleted_by", "slot", "process_group", "stime", "etime"))
    row |= {"held": False, "ctime": 0.0, **values}
    return Job(seq=seq, state=state, options=options, **row)


def shown(of: Job, *members: Job) -> dict[str, Any]:
    jobs: dict[str, dict[str, Any]] = json.loads(qstat_json.show([of], {of.seq: list(members)}))["Jobs"]
    return jobs[of.id]


def member(index: int, state: str) -> Job:
    return job(12 + index, state, options={"array_of": 12, "array_index": index})


def test_without_jobs_there_is_no_entry_for_them() -> None:
    assert "Jobs" not in json.loads(qstat_json.show([], {}))


def test_a_job_that_waits_has_neither_start_nor_end() -> None:
    waiting = shown(job(options={"walltime": 3600}))
    assert waiting["Resource_List"] == {"ncpus": 1, "walltime": "01:00:00"}
    assert not {"stime", "comment", "Exit_status"} & set(waiting)


def test_a_job_that_ended_says_how_long_it_ran_and_how_it_ended() -> None:
    ended = shown(job(state="F", stime=100.0, etime=190.0, exit_status=1, comment="failed"))
    assert ended["resources_used"] == {"walltime": "00:01:30"}
    assert (ended["Exit_status"], ended["comment"], ended["run_count"]) == (1, "failed", 1)


@pytest.mark.parametrize(
    ("states", "state", "counts"),
    [
        ("QQ", "Q", "Queued:2 Running:0 Exiting:0 Expired:0"),
        ("HH", "H", "Queued:2 Running:0 Exiting:0 Expired:0"),
        ("RQ", "B", "Queued:1 Running:1 Exiting:0 Expired:0"),
        ("FQ", "B", "Queued:1 Running:0 Exiting:0 Expired:1"),
    ],
)
def test_an_array_has_begun_once_one_of_its_jobs_has(states: str, state: str, counts: str) -> None:
    array = job(options={"array": [1, 2]})
    found = shown(array, *(member(index, each) for index, each in enumerate(states, 1)))
    assert (array.id, found["job_state"], found["array_state_count"]) == ("12[].local", state, counts)


def test_a_job_of_an_array_names_it() -> None:
    assert shown(member(1, "R"))["array_id"] == "12[].local"
