"""Whatever a command of PBS answers is a value or a SchedulerError, and one bad job concerns one job."""

import contextlib
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.captures import FOLDER, captured

from hpcbrew.command_result import CommandResult
from hpcbrew.errors import SchedulerError
from hpcbrew.job import JobState, JobStatus
from hpcbrew.schedulers import pbs_site
from hpcbrew.schedulers.pbs import Pbs
from hpcbrew.schedulers.pbs_comments import LONGEST, in_words

LONG = settings(max_examples=8_000, deadline=2000, suppress_health_check=list(HealthCheck))

READERS = (
    Pbs().parse_submit,
    lambda answer: Pbs().parse_status(answer).jobs.values(),
    lambda answer: Pbs().parse_together(answer, ["1.pbs01"]).jobs.values(),
    Pbs().parse_select,
    Pbs().parse_change,
    pbs_site.parse_version,
    pbs_site.parse_server,
    pbs_site.parse_queues,
    pbs_site.parse_nodes,
)

TOKENS = [
    "Job Id: 1.pbs01\n", "    job_state = R\n", "    comment = ", "    Exit_status = ", "\n\t", "Not Running: ",
    "Insufficient amount of resource: ncpus (R: 1 A: 2 T: 3)", "    array_state_count = Queued:9",
    "99999999999999999999", "{\n", "}\n", '"Jobs":{\n', '"1.pbs01":{\n', '"job_state":"R",\n',
    '"substate":005,\n', "Queue: a\n", "n1\n", "     state = free\n", "     resources_available.ncpus = ",
    "     resources_available.mem = ", "    resources_max.walltime = ", "Job held by ", "²", "٣", "\x1b[2J",
    "\x85", "\u2028", "\r", "\x00", "12[1].pbs01\n", "would exceed user x's limit on resource ", "Server: s\n",
    "[u:PBS_GENERIC=2]", "    depend = afterok:", "    Hold_Types = uos", "timestamp", ":", "{", "[",
]  # fmt: skip
STATUSES = st.sampled_from([0, 1, 2, 35, 36, 38, 127, 137, 153, 156, 162, 166, 255])
SOUP = st.lists(st.one_of(st.sampled_from(TOKENS), st.text(max_size=8)), max_size=40).map("".join)


@cache
def recorded() -> list[bytes]:
    return [path.read_bytes().partition(b"\n")[2][:6000] for path in sorted(FOLDER.rglob("*.txt"))]


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """A recorded answer, cut, with bytes changed, and parts twice."""
    data = bytearray(draw(st.sampled_from(recorded())))
    for _ in range(draw(st.integers(0, 6))):
        place = draw(st.integers(0, max(0, len(data) - 1)))
        data[place : place + draw(st.integers(0, 20))] = draw(st.binary(max_size=6))
    if draw(st.booleans()):
        data = data[: draw(st.integers(0, len(data)))]
    if draw(st.booleans()):
        start = draw(st.integers(0, len(data)))
        data += data[start : start + 500]
    return bytes(data).decode(errors="replace")


def read(answer: CommandResult) -> None:
    for reader in READERS:
        with contextlib.suppress(SchedulerError):
            judged(reader(answer))


def judged(found: Any) -> None:
    """What is worked out only when it is asked for."""
    for job in found if not isinstance(found, str | bool | None) and hasattr(found, "__iter__") else ():
        status = getattr(job, "status", None)
        if isinstance(status, JobStatus):
            assert len(status.reason) < 3 * LONGEST
            assert status.exit_status is None or abs(status.exit_status) < 10**9
            assert 0 <= status.shell_status < 256


@pytest.mark.slow
@LONG
@given(damaged(), st.one_of(st.just(""), damaged()), STATUSES)
def test_a_damaged_answer_is_read_or_refused(out: str, err: str, status: int) -> None:
    read(CommandResult(status, out, err))


@pytest.mark.slow
@LONG
@given(SOUP, SOUP, STATUSES)
def test_any_text_is_read_or_refused(out: str, err: str, status: int) -> None:
    read(CommandResult(status, out, err))


@pytest.mark.slow
@LONG
@given(SOUP)
def test_any_comment_has_words(comment: str) -> None:
    assert len(in_words(comment)) < 3 * LONGEST


@pytest.mark.slow
@LONG
@given(st.lists(damaged(), min_size=1, max_size=3))
def test_a_bad_job_hides_no_other(between: list[str]) -> None:
    """In the text form, which is the one that PBS is asked for."""
    whole = "Job Id: 7000001.pbs01\n    job_state = R\n\n"
    other = "Job Id: 7000002.pbs01\n    job_state = Q\n\n"
    jobs = Pbs().parse_status(CommandResult(0, whole + "\n".join(between) + "\n\n" + other)).jobs
    assert str(jobs["7000001.pbs01"].status.state) == "running"
    assert str(jobs["7000002.pbs01"].status.state) == "queued"


FOUND = {
    "digits that int() takes for none": "Queue: a\n    resources_max.ngpus = ²\n",
    "a number of 5000 digits": f"Job Id: 1.pbs01\n    job_state = F\n    Exit_status = {'9' * 5000}\n",
    "a count of 5000 digits": f"Job Id: 1[].pbs01\n    job_state = B\n    array_state_count = Running:{'9' * 5000}\n",
    "a walltime of no time": "Queue: a\n    resources_max.walltime = 00:00:00\n",
    "JSON that goes deep": "{" + '"a":{' * 5000,
    "jobs that are no objects": '{\n"Jobs": [1, 2]}',
    "a job that is none": '{\n"timestamp": 1, "Jobs": {"1.pbs01": 5}}',
    "many braces": "{\n" * 20000,
    "blanks without an end": '{\n"Jobs":{\n' + '"a"' + " " * 200_000 + "x",
    "a megabyte of comment": f"Job Id: 1.pbs01\n    job_state = Q\n    comment = {'x' * 10**6}\n",
    "a megabyte of a count": f"Job Id: 1[].pbs01\n    job_state = B\n    array_state_count = {'x' * 10**6}\n",
    "a megabyte that carries on": "Job Id: 1.pbs01\n    job_state = Q\n    comment = x\n" + "\tx\n" * 200_000,
    "a mem that is none": "n1\n     state = free\n     resources_available.mem = much\n",
}


@pytest.mark.parametrize("case", FOUND)
def test_what_was_found_is_read_or_refused_in_no_time(case: str) -> None:
    read(CommandResult(0, FOUND[case]))


@pytest.mark.parametrize(
    "name",
    ["finished_exit3_x_f", "array_finished_x_f_json", "deleted_running_x_f", "walltime_killed_x_f_json",
     "deleted_queued_x_f_json", "depend_afterok_of_failed_x_f_json", "array_sub_deleted_x_t_f_json"],
)  # fmt: skip
def test_an_answer_that_breaks_off_ends_no_job_but_as_it_ended(name: str) -> None:
    whole = captured(name)
    ends = {job_id: job.status for job_id, job in Pbs().parse_status(whole).jobs.items()}
    for end in range(0, len(whole.out), 11):
        with contextlib.suppress(SchedulerError):
            for job_id, job in Pbs().parse_status(CommandResult(0, whole.out[:end])).jobs.items():
                known = ends.get(job_id)
                assert not job.status.state.final or known is None or job.status == known, (end, job.status)


@pytest.mark.parametrize("said", ["2x71", "²", "271 0", "9" * 30, "nan"])
def test_an_exit_status_that_is_no_number_ends_no_job(said: str) -> None:
    answer = CommandResult(0, f"Job Id: 1.pbs01\n    job_state = F\n    Exit_status = {said}\n\n")
    status = Pbs().parse_status(answer).jobs["1.pbs01"].status
    assert status.state is JobState.UNKNOWN
    assert "is not a number" in status.reason


def test_a_job_that_ran_and_ended_without_a_word_of_how_is_not_known() -> None:
    answer = CommandResult(0, "Job Id: 1.pbs01\n    job_state = F\n    run_count = 1\n    substate = 92\n\n")
    status = Pbs().parse_status(answer).jobs["1.pbs01"].status
    assert status == JobStatus(JobState.UNKNOWN, "it has ended, and qstat's answer does not say how")
