"""What the stand-in refuses, and how it answers where there is nothing to show: as recorded. And its oddities."""

import subprocess

import pytest
from support.captures import Replay

EMPTY = [
    "empty_qstat",
    "empty_qstat_f_json",
    "nodes_idle_a",
    "nodes_idle_a_json",
    "queues_idle_qstat_Q",
    "version_qstat",
    "version_qsub",
    "error_malformed_job_id_qdel",
    "error_malformed_job_id_qstat",
    "error_other_server_qstat",
    "error_qstat_bad_queue",
    "error_unknown_job_qdel",
    "error_unknown_job_qhold",
    "error_unknown_job_qrls",
    "error_unknown_job_qstat",
    "error_unknown_job_qstat_f_json",
    "error_unknown_job_qstat_x_f_json",
]
REFUSED = [
    "error_array_too_big_qsub",
    "error_bad_array_qsub",
    "error_bad_directive_qsub",
    "error_bad_name_qsub",
    "error_bad_ngpus_value_qsub",
    "error_bad_option_qsub",
    "error_bad_queue_qsub",
    "error_bad_resource_in_select_qsub",
    "error_bad_resource_qsub",
    "error_bad_select_syntax_qsub",
    "error_bad_walltime_qsub",
    "error_crlf_script_qsub",
    "error_depend_bad_type_qsub",
    "error_long_name_qsub",
    "error_no_script_qsub",
    "error_old_and_new_syntax_qsub",
    "error_queue_acl_qsub",
    "error_queue_disabled_qsub",
    "error_queue_limit_ngpus_qsub",
    "error_queue_limit_walltime_qsub",
    "error_unknown_server_qsub",
]
DOWN = [
    "server_down_pbsnodes_json",
    "server_down_qdel",
    "server_down_qstat",
    "server_down_qstat_B",
    "server_down_qstat_f_json",
    "server_down_qsub",
]


@pytest.mark.parametrize("name", EMPTY)
def test_a_site_without_jobs(replay: Replay, name: str) -> None:
    replay.holds(name)


@pytest.mark.parametrize("name", REFUSED)
def test_what_qsub_refuses_makes_no_job(replay: Replay, name: str) -> None:
    replay.job("ok", "true")
    replay.script("baddir.pbs", "true", "-l walltime=abc")
    (replay.cap / "crlf.pbs").write_bytes(b"#!/bin/bash\r\n#PBS -N crlf\r\ntrue\r\n")
    replay.site.configure(queues={"workq": {}, "disabled": {"enabled": "False"}, **LIMITED})
    replay.holds(name)
    assert replay.type("qstat -x") == (0, "", "")


LIMITED = {
    "gpu": {"resources_max.ngpus": 2, "resources_max.walltime": "168:00:00"},
    "staff": {"acl_user_enable": "True", "acl_users": "nobody"},
}


@pytest.mark.parametrize("name", DOWN)
def test_a_server_that_is_down(replay: Replay, name: str) -> None:
    replay.job("ok", "true")
    replay.site.configure(down=True)
    replay.holds(name)


def test_a_command_that_never_answers_and_one_that_says_more_than_asked(replay: Replay) -> None:
    replay.site.configure(hang=["qstat"], noise={"pbsnodes": "Welcome\n"}, slow={"qsub": 0.2})
    with pytest.raises(subprocess.TimeoutExpired):
        replay.site.run("qstat", timeout=1)
    assert replay.type("pbsnodes -a")[1].startswith("Welcome\npbs01\n")
    replay.job("ok", "true")
    assert replay.type("qsub ok.pbs") == (0, "1.pbs01\n", "")
