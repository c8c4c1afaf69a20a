"""Answers of a real OpenPBS 23.06, each with what it means. The oracle is the server's own record of what was done."""

import re
from collections import Counter
from pathlib import PurePosixPath

import pytest
from support.captures import captured, index

from hpcbrew.command_result import CommandResult
from hpcbrew.errors import SchedulerError
from hpcbrew.job import JobState
from hpcbrew.schedulers import pbs_status
from hpcbrew.schedulers.pbs import Pbs

PBS = Pbs()


STATES = {
    "after_server_restart_running_f_json": "52.pbs01 running",
    "array_deleted_x_t_f_json": (
        "24[].pbs01 cancelled, 24[1].pbs01 cancelled, 24[4].pbs01 cancelled, 24[7].pbs01 cancelled, "
        "24[10].pbs01 cancelled"
    ),
    "array_finished_sub2_x_f_json": "23[2].pbs01 failed",
    "array_finished_x_f_json": "23[].pbs01 failed",
    "array_finished_x_t_f_json": "23[].pbs01 failed, 23[1].pbs01 done, 23[2].pbs01 failed, 23[3].pbs01 done",
    "array_held_at_submit_t_f_json": "48[].pbs01 held, 48[1].pbs01 queued, 48[2].pbs01 queued",
    "array_held_t_f_json": (
        "47[].pbs01 held, 47[1].pbs01 running, 47[2].pbs01 running, 47[3].pbs01 running, 47[4].pbs01 running"
    ),
    "array_limited_t_f_json": (
        "24[].pbs01 running, 24[1].pbs01 running, 24[4].pbs01 running, 24[7].pbs01 queued, 24[10].pbs01 queued"
    ),
    "array_running_f_json": "23[].pbs01 running",
    "array_running_sub1_f_json": "23[1].pbs01 running",
    "array_running_t_f_json": "23[].pbs01 running, 23[1].pbs01 running, 23[2].pbs01 running, 23[3].pbs01 running",
    "array_sub_deleted_x_t_f_json": (
        "24[].pbs01 running, 24[1].pbs01 cancelled, 24[4].pbs01 running, 24[7].pbs01 running, 24[10].pbs01 queued"
    ),
    "awkward_V_exported_function_f_json": "27.pbs01 running",
    "awkward_newline_utf8_numeric_name_f_json": "26.pbs01 running",
    "awkward_variables_f": "25.pbs01 running",
    "awkward_variables_f_json": "25.pbs01 running",
    "default_output_x_f_json": "51.pbs01 done",
    "deleted_held_x_f_json": "5.pbs01 cancelled",
    "deleted_queued_f_json": "",
    "deleted_queued_x_f_json": "3.pbs01 cancelled",
    "deleted_running_just_after_f_json": "13.pbs01 running",
    "deleted_running_x_f": "13.pbs01 cancelled",
    "deleted_running_x_f_json": "13.pbs01 cancelled",
    "depend_afterany_of_failed_x_f_json": "19.pbs01 done",
    "depend_afternotok_of_failed_x_f_json": "18.pbs01 done",
    "depend_afterok_done_x_f_json": "16.pbs01 failed",
    "depend_afterok_of_failed_x_f_json": "17.pbs01 never ran",
    "depend_afterok_on_finished_failed_x_f_json": "20.pbs01 never ran",
    "depend_afterok_on_finished_ok_x_f_json": "21.pbs01 done",
    "depend_parent_f_json": "15.pbs01 running",
    "depend_waiting_f_json": "16.pbs01 waiting",
    "empty_qstat_f_json": "",
    "error_depend_unknown_x_f_json": "22.pbs01 never ran",
    "exiting_f_json": "50.pbs01 ending",
    "finished_exit0_x_f": "7.pbs01 done",
    "finished_exit0_x_f_json": "7.pbs01 done",
    "finished_exit127_x_f_json": "12.pbs01 failed",
    "finished_exit3_x_f": "8.pbs01 failed",
    "finished_exit3_x_f_json": "8.pbs01 failed",
    "finished_gpu_x_f_json": "1.pbs01 done",
    "finished_sigkill_x_f_json": "10.pbs01 failed",
    "finished_sigsegv_x_f_json": "11.pbs01 failed",
    "finished_without_x_f_json": "",
    "held_at_submit_f_json": "5.pbs01 held",
    "held_f": "2.pbs01 held",
    "held_f_json": "2.pbs01 held",
    "job_env_x_f_json": "14.pbs01 done",
    "mixed_all_f_json": "1.pbs01 running, 2.pbs01 queued, 3.pbs01 queued, 4.pbs01 queued",
    "mixed_two_ids_x_f": "7.pbs01 done, 8.pbs01 failed",
    "other_user_job_f_json": "41.pbs01 running",
    "qhold_running_f_json": "46.pbs01 running",
    "queue_stopped_f_json": "30.pbs01 queued",
    "queued_f": "2.pbs01 queued",
    "queued_f_json": "2.pbs01 queued",
    "queued_low_queue_project_f_json": "4.pbs01 queued",
    "queued_never_f_json": "3.pbs01 queued",
    "qalter_f_json": "2.pbs01 queued",
    "qmove_f_json": "2.pbs01 queued",
    "qrls_running_f_json": "46.pbs01 running",
    "released_f_json": "2.pbs01 running",
    "running_f": "1.pbs01 running",
    "running_f_json": "1.pbs01 running",
    "running_fw": "1.pbs01 running",
    "stageout_failed_x_f_json": "29.pbs01 done",
    "suspended_f_json": "42.pbs01 held",
    "system_held_after_qrerun_f_json": "42.pbs01 held",
    "waiting_f_json": "6.pbs01 waiting",
    "walltime_killed_x_f": "9.pbs01 out of walltime",
    "walltime_killed_x_f_json": "9.pbs01 out of walltime",
}

REASONS = {
    "array_running_f_json": "3 running",
    "array_finished_x_f_json": "at least one job of the array failed",
    "deleted_running_x_f": "deleted by ee2110061@pbs01",
    "depend_waiting_f_json": "for 15.pbs01 to succeed",
    "error_depend_unknown_x_f_json": "what it waited for never happened: 999999.pbs01 to succeed",
    "finished_exit127_x_f_json": "exit status 127: a command was not found",
    "finished_sigkill_x_f_json": "killed by SIGKILL; running out of memory is the usual cause",
    "held_at_submit_f_json": "held by its owner: hpcbrew release releases it",
    "queue_stopped_f_json": "its queue is stopped for now",
    "queued_never_f_json": "can never run: it requests 3 GPUs, of 2 in all: cancel it, and request less",
    "stageout_failed_x_f_json": "its scheduler.log could not be delivered",
    "waiting_f_json": "until Sun Nov 22 20:32:00 2026",
    "walltime_killed_x_f": "ran longer than its walltime",
}


@pytest.mark.parametrize("pbs", [PBS, Pbs(torque=True)], ids=["PBS", "Torque"])
def test_an_answer_that_names_no_job_is_told(pbs: Pbs) -> None:
    rubbish = CommandResult(0, f"<html>proxy error {'x' * 5000}</html>", "")
    with pytest.raises(SchedulerError, match=r"qstat's answer names no job: <html>proxy error x*…$"):
        pbs.parse_status(rubbish, ["1.pbs01"])
    assert pbs.parse_status(rubbish).jobs == {}  # a server without jobs, behind a command that says more
    assert pbs.parse_status(CommandResult(0, "", ""), ["1.pbs01"]).jobs == {}


@pytest.mark.parametrize("name", STATES)
def test_status_gives_each_job_its_state(name: str) -> None:
    jobs = PBS.parse_status(captured(name)).jobs
    assert ", ".join(f"{job_id} {job.status.state}" for job_id, job in jobs.items()) == STATES[name]


@pytest.mark.parametrize("name", REASONS)
def test_status_gives_the_reason(name: str) -> None:
    (job,) = PBS.parse_status(captured(name)).jobs.values()
    assert job.status.reason == REASONS[name]


def test_a_whole_history_is_read_in_one_answer() -> None:
    jobs = PBS.parse_status(captured("history_final_x_f_json")).jobs
    states = Counter(str(job.status.state) for job in jobs.values())
    assert states == {"done": 10, "cancelled": 13, "failed": 7, "out of walltime": 1, "never ran": 3}


def test_text_and_json_tell_the_same() -> None:
    text, as_json = (PBS.parse_status(captured(f"running_f{form}")).jobs["1.pbs01"] for form in ("", "_json"))
    assert text.get("Resource_List.select") == as_json.get("Resource_List.select") == "1:ncpus=1:ngpus=1"
    assert text.get("Job_Name") == as_json.get("Job_Name") == "caffe_train"


def test_folded_lines_are_joined() -> None:
    job = PBS.parse_status(captured("running_f")).jobs["1.pbs01"]
    assert "PBS_O_LOGNAME=ee2110061,PBS_O_PATH=/opt/pbs/bin:" in job.get("Variable_List")


def test_an_unknown_job_does_not_hide_the_others() -> None:
    report = PBS.parse_status(captured("mixed_known_unknown_f_json"))
    assert list(report.jobs) == ["1.pbs01"]
    assert report.unknown == {"999999.pbs01"}


def test_a_job_in_history_is_not_unknown() -> None:
    assert PBS.parse_status(captured("finished_without_x_f_json")).unknown == frozenset()


@pytest.mark.parametrize("name", ["server_down_qstat_f_json", "error_other_server_qstat"])
def test_a_failed_poll_says_nothing_of_any_job(name: str) -> None:
    with pytest.raises(SchedulerError, match="qstat failed"):
        PBS.parse_status(captured(name))


def test_an_id_that_the_server_cannot_make_sense_of_does_not_hide_the_others() -> None:
    known, other = captured("running_f"), captured("error_other_server_qstat")
    report = PBS.parse_status(CommandResult(other.status, known.out, other.err))
    assert (list(report.jobs), report.unknown) == (["1.pbs01"], frozenset())


def test_a_login_shell_that_does_not_find_qsub_is_told() -> None:
    with pytest.raises(SchedulerError, match=r"command not found\. PBS's commands are not on your PATH there"):
        PBS.parse_submit(captured("loginonly_nonlogin_qsub_not_found"))


def test_broken_json_is_an_error_and_no_answer() -> None:
    with pytest.raises(SchedulerError, match="cannot be read"):
        PBS.parse_status(CommandResult(0, '{\n"Jobs": {"1.srv": {"job_state": 005}}}'))


def test_login_noise_before_the_answer_is_left_aside() -> None:
    quiet = captured("running_f")
    noisy = CommandResult(0, f"Welcome!\n  {{maintenance = Friday}}\n{quiet.out}")
    assert PBS.parse_status(noisy).jobs == PBS.parse_status(quiet).jobs


def test_a_variable_with_a_line_break_cannot_pass_for_an_attribute() -> None:
    out = "Job Id: 7.srv\n    job_state = R\n    Variable_List = A=x\n    job_state = F\n    comment = hello\n"
    assert PBS.parse_status(CommandResult(0, out)).jobs["7.srv"].status.state is JobState.RUNNING


ONE_UNKNOWN = {
    "text": "".join(f"Job Id: {n}.srv\n    job_state = {letter}\n\n" for n, letter in ((6, "R"), (7, "Y"), (8, "Q"))),
    "json": '{"Jobs": {"6.srv": {"job_state": "R"}, "7.srv": {"job_state": "Y"}, "8.srv": {"job_state": "Q"}}}',
}


@pytest.mark.parametrize("form", ONE_UNKNOWN)
def test_a_state_letter_that_no_pbs_has_is_told_of_that_job_alone(form: str) -> None:
    jobs = PBS.parse_status(CommandResult(0, ONE_UNKNOWN[form])).jobs
    assert {job_id: job.status.state for job_id, job in jobs.items()} == {
        "6.srv": JobState.RUNNING,
        "7.srv": JobState.UNKNOWN,
        "8.srv": JobState.QUEUED,
    }
    assert jobs["7.srv"].status.reason == "qstat shows state 'Y', which is not known of any PBS"
    assert not JobState.UNKNOWN.final


def test_torque_spells_the_exit_status_otherwise() -> None:
    out = "Job Id: 7.srv.example.org\n    job_state = C\n    exit_status = 2\n"
    status = PBS.parse_status(CommandResult(0, out)).jobs["7.srv.example.org"].status
    assert (status.state, status.exit_status) == (JobState.FAILED, 2)


# Ends that Torque's users were shown: at Washington State and Ghent those over their walltime, at the BC GSC a job
# whose array of others had failed.
TORQUE_ENDS = {
    "over its walltime": ("exit_status = -11", JobState.OUT_OF_WALLTIME, "ran longer than its walltime"),
    "over its memory": ("exit_status = -10", JobState.OUT_OF_MEMORY, pbs_status.USED_MORE_MEMORY),
    "nothing to wait for": (
        "comment = Job 48[].torque01 deleted because its dependency of array 43[].\n\ttorque01 can never be satisfied\n"
        "    exit_status = 271",
        JobState.NEVER_RAN,
        "what it waited for never happened: array 43[].torque01",
    ),
}


@pytest.mark.parametrize("case", TORQUE_ENDS)
def test_ends_as_torque_numbers_them(case: str) -> None:
    said, state, reason = TORQUE_ENDS[case]
    out = f"Job Id: 9.torque01\n    job_state = C\n    exec_host = node1/0\n    {said}\n\n    request_version = 1\n\n"
    status = Pbs(torque=True).parse_status(CommandResult(0, out)).jobs["9.torque01"].status
    assert (status.state, status.reason) == (state, reason)


def test_torque_deletes_a_job_that_waits_with_the_status_of_one_that_was_ended() -> None:
    out = "Job Id: 9.torque01\n    job_state = C\n    {}exit_status = 271\n\n"
    for begun, state in (("", JobState.CANCELLED), ("exec_host = node1/0\n    ", JobState.FAILED)):
        answer = CommandResult(0, out.format(begun))
        assert Pbs(torque=True).parse_status(answer).jobs["9.torque01"].status.state is state


def test_torque_waits_for_an_array_by_another_word() -> None:
    out = "Job Id: 9.torque01\n    job_state = H\n    depend = afterokarray:43[].torque01@torque01\n\n"
    status = Pbs(torque=True).parse_status(CommandResult(0, out)).jobs["9.torque01"].status
    assert (status.state, status.reason) == (JobState.WAITING, "for 43[].torque01 to succeed")


def test_the_same_number_is_another_end_with_pbs() -> None:
    out = "Job Id: 9.pbs01\n    job_state = F\n    run_count = 1\n    Exit_status = -11\n\n"
    assert PBS.parse_status(CommandResult(0, out)).jobs["9.pbs01"].status.reason == "rerun"


TORQUE_REFUSALS = {
    "too much": (190, "qsub: Job exceeds queue resource limits MSG=cannot locate feasible nodes", "too much or too"),
    "too many": (
        228,
        "qsub: submit error (Maximum number of jobs already in queue for user MSG=total number of current user's jobs "
        "exceeds the queue limit: user u@halstead, queue standby)",
        "have as many jobs as the site allows",
    ),
    "no arrays": (241, "qsub: submit error (Queue does not allow job arrays)", "does not accept sweeps"),
    "nobody there": (
        33,
        "qsub: cannot connect to server srv (errno=15137) could not connect to trqauthd",
        "The PBS server does not answer. Nothing was submitted",
    ),
    "a number of PBS's": (188, "qsub: submit error (No server specified)", r"\(No server specified\)\.$"),
    "by a filter": (
        1,
        "Jobs for the GPU queue name gpus=N.\n"
        "qsub: Your job has been administratively rejected by the queueing system.",
        "Jobs for the GPU queue name gpus=N. qsub: Your job .* A rule of the site",
    ),
}


@pytest.mark.parametrize("case", TORQUE_REFUSALS)
def test_a_refusal_of_torque_is_advised_on_by_its_own_numbers(case: str) -> None:
    status, said, advice = TORQUE_REFUSALS[case]
    with pytest.raises(SchedulerError, match=advice):
        Pbs(torque=True).parse_submit(CommandResult(status, "", said))


def test_torque_names_the_job_that_it_does_not_know_after_another_word() -> None:
    """As SURFsara's users were answered."""
    gone = CommandResult(153, "", "qstat: Unknown Job Id Error 6401.gb-ui-kun.els.sara.nl\n")
    report = Pbs(torque=True).parse_status(gone)
    assert (report.jobs, report.unknown) == ({}, {"6401.gb-ui-kun.els.sara.nl"})


def test_torque_does_not_say_of_an_array_that_it_is_forgotten() -> None:
    others = CommandResult(0, "Job Id: 9.srv\n    job_state = R\n\nJob Id: 50[].srv\n    job_state = Q\n\n")
    report = Pbs(torque=True).parse_status(others, ["48[].srv", "50[].srv", "7.srv"])
    assert (report.jobs.keys(), report.unknown) == ({"9.srv", "50[].srv"}, {"48[].srv"})
    assert PBS.parse_status(others, ["48[].srv"]).unknown == set()
    broken_off = CommandResult(0, "Job Id: 9.srv\n    job_sta")
    with pytest.raises(SchedulerError, match=r"names no job: Job Id: 9\.srv job_sta"):
        Pbs(torque=True).parse_status(broken_off, ["48[].srv"])


def test_torque_is_asked_too_late_to_delete_a_job() -> None:
    said = "qdel: Request invalid for state of job MSG=invalid state for job - COMPLETE 1037416.admin.extreme"
    assert Pbs(torque=True).parse_change(CommandResult(170, "", said)) is False


@pytest.mark.parametrize(
    ("name", "job_id"),
    [("running_qsub", "1.pbs01"), ("array_qsub", "23[].pbs01"), ("error_depend_unknown_qsub", "22.pbs01")],
)
def test_submit_gives_the_id(name: str, job_id: str) -> None:
    assert PBS.parse_submit(captured(name)) == job_id


REFUSED = sorted(name for name, row in index().items() if name.endswith("_qsub") and row["status"] != "0")


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_submit_says_so_in_the_words_of_qsub(name: str) -> None:
    answer = captured(name)
    said = next(line for line in answer.err.splitlines() if "qsub:" in line)
    with pytest.raises(SchedulerError) as error:
        PBS.parse_submit(answer)
    assert said.strip() in str(error.value)
    assert "usage:" not in str(error.value)


@pytest.mark.parametrize("name", ["deleted_running_qdel", "deleted_twice_qdel", "qhold_queued", "qrls_not_held"])
def test_a_change_that_was_obeyed(name: str) -> None:
    assert PBS.parse_change(captured(name)) is True


@pytest.mark.parametrize(
    "name", ["finished_qdel", "finished_qhold", "error_unknown_job_qdel", "array_no_brackets_qdel"]
)
def test_a_change_that_came_too_late(name: str) -> None:
    assert PBS.parse_change(captured(name)) is False


REFUSED = {
    "error_no_permission_qdel": "PBS refused (exit status 159): qdel: Unauthorized Request 41.pbs01",
    "error_malformed_job_id_qdel": "PBS refused (exit status 1): qdel: illegally formed job identifier: 12abc",
    "server_down_qdel": "the PBS server does not answer, and nothing was changed: Connection refused",
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_change_that_was_refused(name: str) -> None:
    with pytest.raises(SchedulerError, match=re.escape(REFUSED[name])):
        PBS.parse_change(captured(name))


def test_one_question_for_all_jobs() -> None:
    assert PBS.status_command(["1.srv", "2[].srv"]) == ("qstat", "-x", "-f", "1.srv", "2[].srv")
    assert Pbs(torque=True).status_command(["1.srv"]) == ("qstat", "-f", "1.srv")
    assert PBS.submit_command(PurePosixPath("job.pbs")) == ("qsub", "job.pbs")


@pytest.mark.parametrize(
    ("values", "state", "says"),
    [
        ({"queue": "route"}, JobState.NEVER_RAN, "PBS dropped it from queue route before it started"),
        ({}, JobState.NEVER_RAN, "PBS dropped it from its queue before it started"),
        ({"queue": "route", "stime": "Thu Nov 26 15:00:00 2026"}, JobState.LOST, "no exit status"),
        ({"depend": "afterok:1.pbs01", "queue": "work"}, JobState.NEVER_RAN, "what it waited for never happened"),
    ],
)
def test_a_job_that_ended_without_a_status_and_never_began(values: dict[str, str], state: JobState, says: str) -> None:
    status = pbs_status.JobView("2.pbs01", {"job_state": "F", "substate": "92", **values}).status
    assert (status.state, says in status.reason) == (state, True)
