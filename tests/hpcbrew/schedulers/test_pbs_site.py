"""What a real OpenPBS 23.06 says of itself, and what other versions are known to say."""

import pytest
from support.captures import captured

from hpcbrew.command_result import CommandResult
from hpcbrew.errors import SchedulerError
from hpcbrew.schedulers import pbs_site
from hpcbrew.schedulers.pbs_site import Node, Product


def test_the_version_that_was_captured() -> None:
    assert pbs_site.parse_version(captured("version_qstat")) == Product("OpenPBS", "23.06.06")


@pytest.mark.parametrize(
    ("said", "product"),
    [
        ("pbs_version = 2022.1.1.20220926", Product("PBS Pro", "2022.1.1.20220926")),
        ("pbs_version = PBSPro_13.1.0.160576", Product("PBS Pro", "13.1.0.160576")),
        ("pbs_version = 19.1.3", Product("PBS Pro", "19.1.3")),
        ("Welcome\npbs_version = 20.0.1", Product("OpenPBS", "20.0.1")),
        ("Version: 6.1.2\nCommit: 661e092552de43a785c15d39a3634a541d86898e", Product("Torque", "6.1.2")),
    ],
)
def test_other_versions(said: str, product: Product) -> None:
    assert pbs_site.parse_version(CommandResult(0, said)) == product
    assert pbs_site.parse_version(CommandResult(0, "", said)) == product  # Torque says it on standard error


def test_no_qstat_is_an_error_in_the_shells_words() -> None:
    with pytest.raises(SchedulerError, match="command not found"):
        pbs_site.parse_version(CommandResult(127, "", "bash: line 1: qstat: command not found"))


@pytest.mark.parametrize("name", ["server_qstat_B_f", "server_busy_qstat_B_f_json"])
def test_the_server_in_both_forms(name: str) -> None:
    server = pbs_site.parse_server(captured(name))
    assert (server.name, server.state, server.default_queue) == ("pbs01", "Active", "workq")


@pytest.mark.parametrize("read", [pbs_site.parse_server, pbs_site.parse_queues])
def test_a_server_that_is_down_is_an_error_in_its_words(read) -> None:
    with pytest.raises(SchedulerError, match="cannot connect to server pbs01"):
        read(captured("server_down_qstat_B"))
    with pytest.raises(SchedulerError, match="cannot connect to server pbs01"):
        pbs_site.parse_nodes(captured("server_down_pbsnodes_json"))


def test_queues_and_their_limits() -> None:
    queues = pbs_site.parse_queues(captured("queues_busy_qstat_Q_f_json"))
    assert list(queues) == ["workq", "gpu", "low", "stopped", "disabled", "staff"]
    assert (queues["gpu"].walltime, queues["gpu"].max_gpus) == (168 * 3600, 2)
    assert queues["low"].walltime is None  # one hour is its default, not its limit
    assert [name for name, queue in queues.items() if not queue.open] == ["stopped", "disabled"]
    assert (queues["staff"].members, queues["workq"].members) == ("users root", "")


def test_queues_in_text() -> None:
    text = (
        "motd\nQueue: gpu\n    queue_type = Execution\n    resources_max.ngpus = 2\n"
        "    resources_max.walltime = 168:00:00\n    acl_group_enable = True\n    acl_groups = ee,\n\tcs\n"
        "    enabled = True\n    started = True\n\n"
    )
    (queue,) = pbs_site.parse_queues(CommandResult(0, text)).values()
    assert (queue.walltime, queue.max_gpus, queue.members, queue.open) == (168 * 3600, 2, "groups ee,cs", True)


def test_queues_that_take_jobs_from_others_only() -> None:
    """As MetaCentrum's and ALCF's."""
    text = (
        "Queue: default\n    queue_type = Route\n    route_destinations = q_2h,CUDA@pbs2\n    enabled = True\n"
        "    started = True\n\n\nQueue: CUDA\n    queue_type = Execution\n    total_jobs = -14\n"
        "    from_route_only = True\n    resources_max.ngpus = 4\n    resources_min.ngpus = 1\n    enabled = True\n"
        "    started = True\n\n\n"
    )
    queues = pbs_site.parse_queues(CommandResult(0, text))
    assert (queues["default"].routed, queues["default"].routes_to) == (False, ("q_2h", "CUDA@pbs2"))
    assert (queues["CUDA"].routed, queues["CUDA"].min_gpus, queues["CUDA"].max_gpus) == (True, 1, 4)


def test_limits_as_torque_writes_them() -> None:
    """As TU Delft's HPC12."""
    text = (
        "Queue: fpt-medium\n    queue_type = Execution\n    max_user_queuable = 3\n    resources_max.nodes = 4\n"
        "    resources_max.walltime = 72:00:00\n    acl_group_enable = True\n    acl_groups = lr-fpt,delftblue\n"
        "    enabled = True\n    started = True\n\n"
    )
    (queue,) = pbs_site.parse_queues(CommandResult(0, text)).values()
    assert (queue.max_queued, queue.max_nodes, queue.members) == (3, 4, "groups lr-fpt,delftblue")


@pytest.mark.parametrize(("name", "used"), [("nodes_idle_a", 0), ("nodes_busy_a", 1), ("nodes_busy_a_json", 1)])
def test_gpus_of_nodes(name: str, used: int) -> None:
    (node,) = pbs_site.parse_nodes(captured(name))
    assert (node.name, node.up, node.gpus, node.gpus_used) == ("pbs01", True, 2, used)
    assert node.resources["ncpus"] == "8"


def test_a_node_that_is_down_or_set_aside_is_not_up() -> None:
    text = "Hello\nn1\n     state = down,offline\n     np = 8\n     gpus = 4\nn2\n     state = job-busy\n     np = 8\n"
    assert pbs_site.parse_nodes(CommandResult(0, text)) == [
        Node("n1", False, 4, None, {}),
        Node("n2", True, 0, None, {}),
    ]


def test_a_version_of_thousands_of_digits_is_one_that_nobody_knows() -> None:
    assert pbs_site.parse_version(CommandResult(0, f"pbs_version = {'9' * 5000}.0")).name == "PBS Pro"
