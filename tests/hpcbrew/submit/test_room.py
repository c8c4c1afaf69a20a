from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath

import pytest
from support.captures import FOLDER

from hpcbrew.address import Address
from hpcbrew.command_result import CommandResult
from hpcbrew.errors import RequestError
from hpcbrew.job import JobPlan, Resources
from hpcbrew.schedulers.pbs_site import Node, largest, machines
from hpcbrew.submit import room

NODES = (FOLDER / "release-23.06.06" / "nodes.txt").read_text()
LITTLE = Resources(1, 0, 1, None, 3600, None, None, {})
PLAN = JobPlan("t", "n", Address("there", "ssh", "pbs"), "", "~/s", PurePosixPath("runs/n-t"), "", (), (), (), LITTLE)


class Answering:
    """A transport whose every command gives the same answer, and counts."""

    def __init__(self, answer: CommandResult) -> None:
        self.answer, self.asked = answer, 0

    def run(self, command: Sequence[str], folder: PurePosixPath, **how: object) -> CommandResult:
        self.asked += 1
        return self.answer


def check(chunk: dict[str, str], answer: CommandResult, hosts: int = 1) -> int:
    site = Answering(answer)
    room.check(replace(PLAN, chunk=chunk, hosts=hosts), site)  # type: ignore[arg-type]
    return site.asked


REFUSED = {
    "cores": ({"ncpus": "12"}, "no node is large enough, .*12 cores requested, 8 available at most"),
    "memory": ({"ncpus": "1", "mem": "100gb"}, r"100gb memory requested, 64\.0 GiB available at most \(--mem\)"),
    "GPUs": ({"ncpus": "1", "ngpus": "3"}, r"3 GPUs requested, 2 available at most \(--gpus-per-node\)"),
    "of a kind": ({"ncpus": "12", "centos": "skylake"}, "no node with centos=skylake is large enough"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_no_node_can_hold_is_refused(case: str) -> None:
    chunk, said = REFUSED[case]
    with pytest.raises(RequestError, match=said):
        check(chunk, CommandResult(0, NODES))


@pytest.mark.parametrize(("chunk", "hosts"), [({"ncpus": "1"}, 3), ({"ncpus": "8", "ngpus": "2"}, 3)])
def test_more_nodes_than_there_are_large_enough_are_refused(chunk: dict[str, str], hosts: int) -> None:
    with pytest.raises(RequestError, match=r"3 nodes were requested \(--nodes\), but only 2 are large"):
        check(chunk, CommandResult(0, NODES), hosts)


def test_as_many_nodes_as_there_are_pass() -> None:
    assert check({"ncpus": "8", "ngpus": "2"}, CommandResult(0, NODES), 2) == 1


def test_what_a_node_can_hold_passes() -> None:
    assert check({"ncpus": "8", "ngpus": "2", "mem": "64gb", "centos": "icelake"}, CommandResult(0, NODES)) == 1


@pytest.mark.parametrize(
    "answer", [CommandResult(127, err="pbsnodes: not found"), CommandResult(0, "Welcome"), CommandResult(0)]
)
def test_where_nodes_are_not_to_be_had_pbs_judges(answer: CommandResult) -> None:
    assert check({"ncpus": "12"}, answer) == 1


def test_a_job_of_the_profile_s_own_amounts_is_not_asked_about() -> None:
    assert check({}, CommandResult(0, NODES)) == 0


def test_the_parts_of_a_machine_are_added_up_and_what_none_tells_of_is_not_known() -> None:
    parts = [Node(f"c[{n}]", True, 0, 0, {"ncpus": "10", "host": "c"}) for n in range(2)]
    assert largest(parts, {"ncpus": "20"}) is None
    assert largest(parts, {"ncpus": "21"}) == {"ncpus": 20}
    assert largest(parts, {"mem": "1tb"}) is None
    assert largest(parts, {"ncpus": "4", "ngpus": "9"}) is None
    assert largest([], {"ncpus": "4"}) is None


# As MetaCentrum, UBC Sockeye and NCAR Casper have them: amounts of their own, kinds by commas, flags, and what is not.
SITES_OWN = Node(
    "zero21",
    True,
    4,
    0,
    {
        "ncpus": "32",
        "gpu_mem": "16384mb",
        "scratch_local": "870000000kb",
        "gpu_type": "a100,a100_80gb",
        "ssd": "True",
        "gpu_id": "0,1,2",
        "cluster": "zero",
    },
)


@pytest.mark.parametrize(
    "attributes",
    [
        {"scratch_local": "20gb"},
        {"gpu_mem": "16gb"},
        {"gpu_type": "a100"},
        {"ssd": "true"},
        {"gpu_id": "2"},
        {"cluster": "^old"},
        {"mpiprocs": "1", "ompthreads": "4"},
    ],
    ids=str,
)
def test_what_a_site_counts_is_enough_where_there_is_more(attributes: dict[str, str]) -> None:
    assert largest([SITES_OWN], {"ncpus": "4"} | attributes) is None
    assert machines([SITES_OWN], {"ncpus": "4"} | attributes) == 1


def test_what_a_site_counts_may_be_too_much() -> None:
    assert largest([SITES_OWN], {"ncpus": "4", "gpu_mem": "40gb"}) == {"ncpus": 32, "gpu_mem": 16 * 2**30}
    nodes = "n\n     state = free\n     resources_available.ncpus = 8\n     resources_available.gpu_mem = 16gb\n\n"
    with pytest.raises(RequestError, match=r"40gb gpu_mem requested, 16\.0 GiB available at most \(resources or gpu_t"):
        check({"ncpus": "4", "gpu_mem": "40gb"}, CommandResult(0, nodes))
