from pathlib import PurePosixPath

import pytest

from hpcbrew.address import Address
from hpcbrew.job import JobRecord, JobState, JobStatus
from hpcbrew.schedulers.pbs import QstatReport
from hpcbrew.schedulers.pbs_status import JobView
from hpcbrew.track.run_folder import ExitRecord
from hpcbrew.track.status import judge

RUNNING = JobStatus(JobState.RUNNING)


def job(*, cancel_asked: bool = False) -> JobRecord:
    address = Address("iitd", "ssh", "pbs")
    return JobRecord("t", "n", address, "s", 0.0, PurePosixPath("/r"), RUNNING, "1.srv", cancel_asked)


def seen(**attributes: str) -> QstatReport:
    return QstatReport({"1.srv": JobView("1.srv", attributes)}, frozenset())


UNKNOWN = QstatReport({}, frozenset({"1.srv"}))
SILENT = QstatReport({}, frozenset())
WALLTIME = seen(job_state="F", Exit_status="-29", comment="exceeded resource walltime")


def ended(status: int) -> ExitRecord:
    return ExitRecord(status, 0.0)


CASES = {
    "the scheduler's word, without an exit record": (job(), None, seen(job_state="Q"), JobState.QUEUED),
    "its own record of success comes first": (job(), ended(0), seen(job_state="R"), JobState.DONE),
    "success, though the scheduler is silent": (job(), ended(0), None, JobState.DONE),
    "its own record says more than a letter that nobody knows": (job(), ended(3), seen(job_state="Y"), JobState.FAILED),
    "a letter that nobody knows": (job(), None, seen(job_state="Y"), JobState.UNKNOWN),
    "failure waits for the scheduler's reason": (job(), ended(143), seen(job_state="E"), JobState.ENDING),
    "the reason is the scheduler's": (job(), ended(143), WALLTIME, JobState.OUT_OF_WALLTIME),
    "failure, and the scheduler has forgotten it": (job(), ended(3), UNKNOWN, JobState.FAILED),
    "failure, and the scheduler is silent": (job(), ended(3), None, JobState.FAILED),
    "a failed poll changes nothing": (job(), None, None, JobState.RUNNING),
    "missing from the answer is not gone": (job(), None, SILENT, JobState.RUNNING),
    "unknown, and no record": (job(), None, UNKNOWN, JobState.LOST),
    "unknown, and no record, after cancel": (job(cancel_asked=True), None, UNKNOWN, JobState.CANCELLED),
    "a signal after cancel": (job(cancel_asked=True), ended(143), UNKNOWN, JobState.CANCELLED),
    "a signal without cancel": (job(), ended(143), UNKNOWN, JobState.FAILED),
    "an own failure after cancel": (job(cancel_asked=True), ended(3), UNKNOWN, JobState.FAILED),
    "cancelled, by the scheduler's status": (
        job(cancel_asked=True),
        None,
        seen(job_state="F", Exit_status="271", substate="93"),
        JobState.CANCELLED,
    ),
    "what it waited for is not done, and its record is lost": (
        job(),
        None,
        seen(job_state="F", Exit_status="69", substate="93"),
        JobState.NEVER_RAN,
    ),
    "lost by the scheduler, with a record": (job(), ended(3), seen(job_state="F", substate="93"), JobState.FAILED),
}


@pytest.mark.parametrize("case", CASES)
def test_the_state_is_judged_by_all_that_is_known(case: str) -> None:
    record, exit_record, report, state = CASES[case]
    assert judge(record, exit_record, report).state is state


@pytest.mark.parametrize(
    ("report", "reason"),
    [
        (WALLTIME, "no room"),
        (seen(job_state="F", substate="91", comment="terminated by me@pbs01"), "deleted by me@pbs01"),
    ],
)
def test_a_reason_that_the_job_gives_itself_comes_first_but_for_one_that_was_deleted(
    report: QstatReport, reason: str
) -> None:
    assert judge(job(), ExitRecord(143, 0.0, reason="no room"), report).reason == reason
