"""`--after` by the ledger alone; tests/hpcbrew/job_script/test_after.py has what the cluster is asked."""

from dataclasses import replace
from pathlib import PurePosixPath

import pytest

from hpcbrew.clusters import profiles
from hpcbrew.errors import RequestError
from hpcbrew.job import After, JobRecord, JobState, JobStatus
from hpcbrew.submit import dependency
from hpcbrew.track import refresh
from hpcbrew.track.ledger import Ledger

IITD = profiles.load("iitd").address
RECORD = JobRecord("ab12", "lenet", IITD, "s", 0.0, PurePosixPath("/r"), JobStatus(JobState.QUEUED), "12.pbs01")


@pytest.fixture(autouse=True)
def _nobody_connects(monkeypatch: pytest.MonkeyPatch) -> None:
    def reach(address: object) -> None:
        raise AssertionError(f"connects to {address}")

    monkeypatch.setattr(refresh, "reach", reach)


def ledger(**changes: object) -> Ledger:
    made = Ledger()
    made.intend(replace(RECORD, **changes))  # type: ignore[arg-type]
    return made


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.RUNNING, JobState.LOST])
def test_a_job_that_may_yet_be_done_is_waited_for_and_what_is_not_known_is_said(state: JobState) -> None:
    jobs = ledger(status=JobStatus(state))
    before = jobs.path.read_bytes()
    after, unknown = dependency.as_last_heard("lenet", IITD, jobs)
    assert after == After("12.pbs01", "lenet")
    assert f"iitd was not asked. lenet (12.pbs01) was last known to be {state}" in unknown
    assert jobs.path.read_bytes() == before


def test_a_job_that_is_done_is_not_waited_for() -> None:
    assert dependency.as_last_heard("lenet", IITD, ledger(status=JobStatus(JobState.DONE))) == (None, "")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"status": JobStatus(JobState.FAILED, "exit status 3")},
            r"without being done \(failed: exit status 3\); hpcbrew resume",
        ),
        ({"id": None, "status": JobStatus(JobState.SUBMITTING)}, "not yet confirmed by the scheduler"),
        ({"address": replace(IITD, cluster="gadi")}, "runs on gadi"),
    ],
)
def test_what_nothing_can_wait_for_is_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(RequestError, match=said):
        dependency.as_last_heard("lenet", IITD, ledger(**changes))


def test_one_job_of_an_array_is_refused() -> None:
    with pytest.raises(RequestError, match="one job of an array"):
        dependency.as_last_heard("lenet[1]", IITD, ledger(id="12[].pbs01"))
