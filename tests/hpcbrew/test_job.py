from pathlib import PurePosixPath

import pytest

from hpcbrew.address import Address
from hpcbrew.job import FINAL, JobRecord, JobState, JobStatus, new_token


def record(token: str = "0123abcd", job_id: str | None = "7.pbs01") -> JobRecord:
    status = JobStatus(JobState.QUEUED, "not enough nodes are free")
    return JobRecord(token, "lenet", Address("iitd", "ssh", "pbs"), "s", 1.0, PurePosixPath("/r"), status, job_id)


@pytest.mark.parametrize(
    ("status", "shell"),
    [
        (JobStatus(JobState.DONE, "", 0), 0),
        (JobStatus(JobState.FAILED, "", 2), 2),
        (JobStatus(JobState.FAILED, "", 256 + 15), 143),
        (JobStatus(JobState.FAILED, "", -3), 1),
        (JobStatus(JobState.OUT_OF_WALLTIME, "", 75), 124),
        (JobStatus(JobState.CANCELLED), 143),
        (JobStatus(JobState.LOST), 1),
        (JobStatus(JobState.NEVER_RAN), 1),
    ],
)
def test_the_exit_status_is_such_as_a_shell_would_give(status: JobStatus, shell: int) -> None:
    assert status.shell_status == shell


def test_what_may_still_change_is_not_final() -> None:
    names = "SUBMITTING QUEUED HELD WAITING RUNNING ENDING UNKNOWN"
    assert {state for state in JobState if not state.final} == {JobState[name] for name in names.split()}
    assert all(state.final for state in FINAL)


def test_one_job_of_an_array_has_a_number_and_the_array_has_none() -> None:
    assert (record().point, record().is_array) == (None, False)
    assert (record("0123abcd[4]", "7[4].pbs01").point, record(job_id="7[].pbs01").is_array) == (4, True)
    assert not record(job_id=None).is_array


def test_the_object_that_json_prints() -> None:
    assert record().as_json() == {
        "id": "7.pbs01",
        "name": "lenet",
        "cluster": "iitd",
        "state": "queued",
        "reason": "not enough nodes are free",
        "exit_status": None,
        "run_folder": "/r",
        "solver": "s",
        "submitted": "1970-01-01T00:00:01+00:00",
        "token": "0123abcd",
    }


def test_every_job_has_a_token_of_its_own() -> None:
    assert len({new_token() for _ in range(100)}) == 100
