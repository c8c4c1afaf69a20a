"""What the 23.06.06 release answers, which differs from other builds in its JSON, its arrays and its comments."""

import re
from functools import partial

import pytest
from support import captures

from hpcbrew.command_result import CommandResult
from hpcbrew.errors import SchedulerError
from hpcbrew.job import JobState
from hpcbrew.schedulers import pbs_site
from hpcbrew.schedulers.pbs import Pbs

PBS = Pbs()
captured = partial(captures.captured, folder=captures.FOLDER / "release-23.06.06")


STATES = {
    "array_queued_sub_deleted_x_f": {
        "79[2].pbs-test": ("cancelled", "deleted"),
        "79[1].pbs-test": ("queued", "held by its owner: hpcbrew release releases it"),
        "79[].pbs-test": ("held", "held by its owner: hpcbrew release releases it"),
    },
    "array_queued_sub_deleted_x_f_json": {"79[2].pbs-test": ("cancelled", "deleted")},
    "array_sub_beyond_x_f": {"79[].pbs-test": ("held", "held by its owner: hpcbrew release releases it")},
    "finished_qdel_queued_x_f": {"608.pbs-test": ("cancelled", "deleted")},
    "script_killed_9_x_f": {
        "609.pbs-test": ("failed", "killed by SIGKILL; running out of memory is the usual cause"),
    },
    "qdel_running_x_f": {"610.pbs-test": ("running", "")},
    "qdel_running_then_restart_x_f": {"610.pbs-test": ("cancelled", "deleted by ee2110061@pbs-test")},
    "suspended_x_f": {"711.pbs-test": ("held", "suspended by the server or an operator")},
    "operator_hold_x_f": {"713.pbs-test": ("cancelled", "deleted")},
    "node_rebooted_crash1": {
        "721.pbs-test": (
            "failed",
            "its node, or PBS on it, was restarted while it ran: hpcbrew resume continues from its last snapshot, if "
            "it left one",
        )
    },
    "user_run_limit_f": {"727.pbs-test": ("queued", "you run as many jobs in queue low as you may")},
    "backslashes_f_json": {"733.pbs-test": ("held", "held by its owner: hpcbrew release releases it")},
    "utf8_zero_f": {"734.pbs-test": ("held", "held by its owner: hpcbrew release releases it")},
    "utf8_zero_f_json": {"734.pbs-test": ("held", "held by its owner: hpcbrew release releases it")},
    "known_unknown_f_json": {"734.pbs-test": ("held", "held by its owner: hpcbrew release releases it")},
    "operator_hold_after_own_f": {
        "83.pbs-test": ("held", "held by an operator: only an operator of the site can release it"),
    },
    "array_failed_x_f": {"280[].pbs-test": ("failed", "at least one job of the array failed")},
    "depend_held_parent_json": {"267.pbs-test": ("held", "held by its owner: hpcbrew release releases it")},
    "depend_both_held_json": {
        "268.pbs-test": (
            "waiting",
            "for 267.pbs-test to succeed, and held by its owner: hpcbrew release releases it",
        )
    },
    "depend_parent_deleted_json": {"267.pbs-test": ("cancelled", "deleted")},
    "routing_queue_waits_f": {
        "88.pbs-test": ("queued", "it waits in a routing queue, and none of the queues behind it accepts it yet"),
    },
    "hook_runjob_rejects_f": {
        "91.pbs-test": ("queued", "PBS tried to start it but could not: no license on this node"),
    },
    "hook_begin_rejects_f": {
        "93.pbs-test": (
            "held",
            "held by the system: PBS failed to start it many times; ask the site, or cancel it and submit it again",
        )
    },
    "hook_begin_deletes_f": {
        "94.pbs-test": ("failed", "a rule of the site (a hook) ended it: scheduler.log may say why"),
    },
    "insufficient_bare_f": {
        "735.pbs-test": (
            "queued",
            "waits for cores: no single node has what it requests; if none is that large (hpcbrew cluster check), "
            "cancel it and request less",
        )
    },
}


@pytest.mark.parametrize("name", STATES)
def test_each_job_has_its_state_and_reason(name: str) -> None:
    jobs = PBS.parse_status(captured(name)).jobs
    assert {job_id: (str(job.status.state), job.status.reason) for job_id, job in jobs.items()} == STATES[name]


def test_two_jobs_in_one_json() -> None:
    assert list(PBS.parse_status(captured("two_ids_f_json")).jobs) == ["733.pbs-test", "734.pbs-test"]


def test_a_job_of_an_array_that_is_not_there_hides_no_other() -> None:
    report = PBS.parse_status(captured("array_sub_beyond_x_f"))
    assert report.unknown == {"79[9].pbs-test"}


def test_a_site_without_history_says_so_with_status_0() -> None:
    assert PBS.keeps_no_history(captured("no_history_qstat_x_f"))


REFUSED = {
    "qsub_over_max_queued": "have as many jobs as the site allows: submit it when some of them have ended",
    "qsub_resources_min": "too much or too little",
    "qsub_hook_rejects": "qsub: Jobs here need a project. See https://example.org/projects \x1b[31mred\x1b[0m. A rule "
    "of the site (a hook) refuses such jobs; the message is the site's own.",
    "qsub_hook_fails": "Please inform Admin. A rule of the site (a hook) failed there: tell the site.",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_qsub_refuses_comes_with_what_to_do(name: str) -> None:
    with pytest.raises(SchedulerError, match=re.escape(REFUSED[name])):
        PBS.parse_submit(captured(name))


def test_a_server_that_is_away_is_told_of_once_for_all_jobs() -> None:
    said = "Connection refused\nqstat: cannot connect to server pbs-test (errno=15010)\n"
    with pytest.raises(SchedulerError) as raised:
        PBS.parse_status(CommandResult(255, "", said * 3))
    assert str(raised.value).endswith(": Connection refused; qstat: cannot connect to server pbs-test (errno=15010)")


def test_one_job_of_an_array_cannot_be_held() -> None:
    with pytest.raises(SchedulerError, match="PBS can only hold and release a whole array"):
        PBS.parse_change(captured("array_queued_sub_qhold"))


@pytest.mark.parametrize("name", ["queues_f", "queues_f_json"])
def test_queues_in_both_forms(name: str) -> None:
    queues = pbs_site.parse_queues(captured(name))
    assert (queues["smallq"].walltime, queues["smallq"].max_nodes, queues["smallq"].max_cpus) == (1800, 1, 2)
    assert (queues["smallq"].min_walltime, queues["low"].max_queued) == (60, 2)
    assert [name for name, queue in queues.items() if not queue.open] == ["stopq", "offq"]
    assert [name for name, queue in queues.items() if queue.routes_to] == ["routeq", "deadroute"]
    assert queues["routeq"].routes_to == ("smallq", "low")


@pytest.mark.parametrize("name", ["nodes", "nodes_json"])
def test_nodes_in_both_forms(name: str) -> None:
    found = {n.name: (n.up, n.gpus, n.gpus_used, n.cpus, n.cpus_used) for n in pbs_site.parse_nodes(captured(name))}
    assert found == {"pbs-test": (True, 2, 0, 8, 1), "pbs-node2": (True, 2, 0, 8, 0)}


RUNNING = (JobState.RUNNING, "")
BROKEN = {
    "a number with leading zeros": '"A":005',
    "a backslash that is not escaped": r'"CC":"x\y"',
    "a quote that is not escaped": '"Q":"say "hello""',
    "a group that is never closed": '"X":{',
    "a control character": '"E":"\x1e\x03\x1e\x00ung"',
    "a text that ends the group": r'"Z":"a"},"job_state":"F"',
    "no value": '"N":',
}


def shown(job_id: str, pair: str) -> str:
    return (
        f'        "{job_id}":{{\n            "Job_Name":"n",\n            "job_state":"R",\n'
        f'            "Resource_List":{{\n                "ncpus":1\n            }},\n'
        f'            "Variable_List":{{\n                {pair},\n                "PBS_O_HOST":"pbs-test"\n'
        f'            }},\n            "comment":"Job run at noon"\n        }}'
    )


@pytest.mark.parametrize("kind", BROKEN)
def test_json_that_is_broken_in_one_job_is_read_all_the_same(kind: str) -> None:
    jobs = [shown("1.pbs-test", '"A":"b"'), shown("2.pbs-test", BROKEN[kind]), shown("3.pbs-test", '"A":"b"')]
    out = '{\n    "timestamp":1795687671,\n    "Jobs":{\n' + ",\n".join(jobs) + "\n    }\n}\n"
    found = {
        job_id: (job.status.state, job.status.reason)
        for job_id, job in PBS.parse_status(CommandResult(0, out)).jobs.items()
    }
    assert found["1.pbs-test"] == found["2.pbs-test"] == RUNNING
    if kind != "a group that is never closed":
        assert found["3.pbs-test"] == RUNNING


def test_of_keys_that_come_twice_the_first_counts() -> None:
    out = '{\n"Jobs": {"1.srv": {"job_state": "R", "job_state": "F", "Exit_status": 0}}}'
    assert PBS.parse_status(CommandResult(0, out)).jobs["1.srv"].status.state is JobState.RUNNING
