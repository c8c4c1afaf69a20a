import time
from dataclasses import replace
from pathlib import PurePosixPath

import pytest

from hpcbrew.address import Address
from hpcbrew.job import JobRecord, JobState, JobStatus
from hpcbrew.schedulers.pbs import QstatReport
from hpcbrew.schedulers.pbs_status import JobView
from hpcbrew.track.run_folder import ExitRecord
from hpcbrew.track.status import after_hold, after_release, judge

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


def late(status: int) -> ExitRecord:
    return ExitRecord(status, time.time())


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
    "deleted, and PBS is silent: that is not known yet": (job(), late(143), None, JobState.ENDING),
    "a failure that PBS has not been asked about": (job(), late(3), SILENT, JobState.ENDING),
    "what its user cancelled needs no explanation": (job(cancel_asked=True), late(143), None, JobState.CANCELLED),
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


BEGUN = {
    "it trains": (JobState.QUEUED, True, JobState.RUNNING),
    "nothing is seen of it": (JobState.QUEUED, False, JobState.QUEUED),
    "held by others since": (JobState.HELD, True, JobState.HELD),
}


@pytest.mark.parametrize("case", BEGUN)
def test_a_job_that_trains_waits_no_more_though_the_scheduler_is_silent(case: str) -> None:
    before, begun, state = BEGUN[case]
    assert judge(replace(job(), status=JobStatus(before)), None, None, begun=begun).state is state


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


def test_a_failure_that_is_not_explained_stays_open_for_a_day_and_says_so() -> None:
    ending = judge(job(), ExitRecord(143, 1000.0), None, now=1060.0)
    assert ending == JobStatus(
        JobState.ENDING, "killed by SIGTERM, by its own record; the scheduler has not said why yet"
    )
    failed = judge(job(), ExitRecord(143, 1000.0), None, now=1000.0 + 25 * 3600)
    assert (failed.state, failed.exit_status) == (JobState.FAILED, 143)
    assert failed.reason == "killed by SIGTERM; the scheduler did not say more within a day"
    deleted = seen(job_state="F", substate="91", Exit_status="271", comment="terminated by me@pbs01")
    assert judge(replace(job(), status=ending), ExitRecord(143, 1000.0), deleted).state is JobState.CANCELLED


@pytest.mark.parametrize(("status", "state"), [(143, JobState.CANCELLED), (3, JobState.FAILED)])
def test_a_job_of_a_sweep_of_which_pbs_keeps_nothing_failed_where_its_record_says_so(
    status: int, state: JobState
) -> None:
    """PBS shows it as it shows one that was deleted in the queue, with the exit status of the whole array."""
    element = replace(job(), id="1[2].srv", token="t[2]")
    shown = JobView("1[2].srv", {"job_state": "X", "substate": "70", "comment": "Subjob finished", "Exit_status": "0"})
    report = QstatReport({"1[2].srv": shown}, frozenset())
    assert judge(element, None, report).state is JobState.CANCELLED
    assert judge(element, ended(status), report).state is state


def test_of_a_chain_the_links_that_are_over_are_not_asked_for() -> None:
    ids = ("1.srv", "2.srv", "3.srv")
    report = QstatReport({"3.srv": JobView("3.srv", {"job_state": "R"})}, frozenset())
    assert judge(job(), None, report, ids) == RUNNING
    assert judge(job(), None, report, ids, asked=ids[2:]) == JobStatus(JobState.RUNNING, "link 3 of 3 so far")


LEFT = JobView("1.srv", {"job_state": "F", "Exit_status": "-29", "comment": "exceeded resource walltime"})
DELETED = JobView("2.srv", {"job_state": "F", "substate": "91", "comment": "terminated by me@pbs01"})


@pytest.mark.parametrize("report", [{"2.srv": DELETED}, {}], ids=["deleted", "forgotten"])
def test_a_chain_of_which_the_next_link_was_cancelled_is_cancelled(report: dict[str, JobView]) -> None:
    now = QstatReport({"1.srv": LEFT, **report}, frozenset({"2.srv"} - report.keys()))
    ids = ("1.srv", "2.srv")
    assert judge(job(cancel_asked=True), None, now, ids) == JobStatus(JobState.CANCELLED, "by hpcbrew cancel")
    assert judge(job(), None, now, ids).state is JobState.OUT_OF_WALLTIME
    assert judge(job(cancel_asked=True), None, now, ids[:1]).state is JobState.OUT_OF_WALLTIME


SUSPENDED = JobStatus(JobState.HELD, "suspended by the server or an operator")
OPERATOR = JobStatus(
    JobState.HELD, "held by root since Sun Nov 22 19:34:30 2026: only an operator of the site can release it"
)


def test_what_became_of_a_hold_or_a_release_is_told() -> None:
    assert after_release(JobStatus(JobState.QUEUED)) == "released"
    assert after_release(OPERATOR) == f"is still held: {OPERATOR.reason}"
    assert after_hold(OPERATOR, links=1) == "held"
    assert [after_hold(s, links=1) for s in (RUNNING, SUSPENDED)] == [
        "started before it could be held, and continues"
    ] * 2
    assert after_hold(RUNNING, links=2) == "held"


@pytest.mark.parametrize(("at", "state"), [(1.0, JobState.ENDING), (1e12, JobState.FAILED)])
def test_an_end_at_a_time_that_cannot_be_counts_from_the_submission(at: float, state: JobState) -> None:
    """A clock that stands in 1970 must not make it final at once, nor one that is far ahead keep it open for ever."""
    submitted = 1.0e9
    now = submitted + (60.0 if state is JobState.ENDING else 25 * 3600)
    assert judge(replace(job(), submitted=submitted), ExitRecord(143, at), None, now=now).state is state


def test_a_failure_is_not_explained_by_an_answer_that_is_damaged() -> None:
    report = seen(job_state="F", Exit_status="2x1")
    assert judge(job(), late(143), report).state is JobState.ENDING
