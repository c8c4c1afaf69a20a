from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError

from hpcbrew.clusters import profiles
from hpcbrew.clusters.profiles import Cluster
from hpcbrew.job import After, JobRequest
from hpcbrew.plan import resources
from hpcbrew.plan.directives import directives, hosts
from hpcbrew.plan.hardware import Machine

REQUEST = JobRequest(Path("solver.prototxt"), project="ee", gpus_per_node=1)


def site(name: str, **changes: object) -> Cluster:
    return Cluster.model_validate({**profiles.values(name), "name": name, **changes})


def lines(name: str, request: JobRequest = REQUEST, **changes: object) -> list[str]:
    profile = site(name, **changes)
    return directives("lenet", resources.resolve(request, profile, Machine(2, 1)), profile)


RESOURCES = {
    "iitd": ["-l select=1:ncpus=4:ngpus=1:mem=24gb:centos=skylake", "-l walltime=24:00:00", "-q standard", "-P ee"],
    "gadi": ["-l ncpus=12", "-l ngpus=1", "-l mem=90gb", "-l walltime=24:00:00", "-q gpuvolta", "-P ee"],
    "polaris": [
        "-l select=1:ncpus=8:ngpus=1:system=polaris",
        "-l place=scatter",
        "-l walltime=1:00:00".replace("=1:", "=01:"),
        "-l filesystems=home:eagle",
        "-q preemptable",
        "-A ee",
    ],
    "local": ["-l select=1:ncpus=2:ngpus=1", "-l walltime=168:00:00", "-P ee"],
}


@pytest.mark.parametrize("name", RESOURCES)
def test_each_site_is_asked_in_its_own_style(name: str) -> None:
    assert lines(name)[: 1 + len(RESOURCES[name])] == ["-N lenet", *RESOURCES[name]]


def test_nodes_are_chunks() -> None:
    asked = replace(REQUEST, nodes=3, gpus_per_node=2, gpu_type="A100-40")
    assert lines("iitd", asked)[1] == "-l select=3:ncpus=8:ngpus=2:mem=48gb:centos=icelake"


def test_totals_at_the_top_level_count_all_nodes() -> None:
    assert lines("gadi", replace(REQUEST, nodes=2, gpus_per_node=4))[1:4] == [
        "-l ncpus=96",
        "-l ngpus=8",
        "-l mem=720gb",
    ]


def test_where_a_chunk_is_a_gpu_there_are_as_many_chunks_as_gpus() -> None:
    site = {"resources": {"chunk": "gpu", "cpus_per_gpu": 8}}
    assert lines("openpbs", replace(REQUEST, nodes=2, gpus_per_node=4), **site)[1] == "-l select=8:ncpus=8:ngpus=1"


def test_torque_counts_nodes_and_processors() -> None:
    site = {"resources": {"style": "nodes", "cpus_per_gpu": 8, "mem": "8G"}}
    assert lines("openpbs", REQUEST, **site)[1:3] == ["-l nodes=1:ppn=8:gpus=1", "-l mem=8gb"]


# Sites that count cores or GPUs by another name, or not at all: what their users write, and the profile that gives it.
COUNTED = {
    "IIIT Delhi": ({"cpus_as": "none", "gpus_as": "naccelerators"}, "select=1:naccelerators=1"),
    "HLRS": ({"cpus_as": "none", "gpus_as": "none", "select": {"node_type": "rome-ai"}}, "select=1:node_type=rome-ai"),
    "Miyabi": ({"cpus_as": "none", "gpus_as": "none"}, "select=1"),
    "ERDC": ({"cpus": 10, "cpus_per_gpu": 10, "gpus_as": "none"}, "select=1:ncpus=10"),
    "MetaCentrum": ({"select": {"cluster": "^old"}}, "select=1:ncpus=1:ngpus=1:cluster=^old"),
    "at the top": ({"style": "top", "cpus_as": "none", "gpus_as": "gpu"}, "gpu=1"),
    "Torque": ({"style": "nodes", "gpus_as": "none", "select": {"kind": "tesla"}}, "nodes=1:ppn=1:tesla"),
}


def test_gpus_may_have_a_line_of_their_own_beside_nodes() -> None:
    """As at Ghent, Dartmouth and USC."""
    own = {"style": "nodes", "cpus": 1, "cpus_per_gpu": 2, "mem": "32G", "gpus_apart": True}
    asked = lines("openpbs", replace(REQUEST, gpus_per_node=2, nodes=2), resources=own)
    assert asked[1:4] == ["-l nodes=2:ppn=4", "-l gpus=4", "-l mem=64gb"]
    none = lines("openpbs", replace(REQUEST, gpus_per_node=0), resources=own)
    assert none[1:3] == ["-l nodes=1:ppn=1", "-l mem=32gb"]


@pytest.mark.parametrize("case", COUNTED)
def test_cores_and_gpus_are_counted_as_the_site_counts_them(case: str) -> None:
    own, line = COUNTED[case]
    assert lines("openpbs", resources={"cpus_per_gpu": None, **own})[1] == f"-l {line}"


@pytest.mark.parametrize(("flag", "line"), [("-P", "-P ee"), ("-A", "-A ee"), ("-W group_list=", "-W group_list=ee")])
def test_the_account_is_named_as_the_site_wants(flag: str, line: str) -> None:
    assert line in lines("openpbs", account={"flag": flag})


def test_a_site_may_want_who_pays_named_twice() -> None:
    """As DTU's Computerome: qsub refuses a job without either."""
    asked = lines("openpbs", account={"flag": ["-A", "-W group_list="]})
    assert [line for line in asked if "ee" in line] == ["-A ee", "-W group_list=ee"]


@pytest.mark.parametrize("own", ["-l wd", "-W x=PARTITION:csc", "-v RTYPE=rt_HF", "-n", "-k oed"])
def test_further_lines_of_a_site_stand_as_they_are(own: str) -> None:
    assert own in lines("openpbs", directives=[own])


@pytest.mark.parametrize("own", ["-N mine", "-o /tmp", "-I", "-V", "wd", "-l wd\nrm -r x", "-- x"])
def test_a_line_that_would_make_it_another_job_is_refused(own: str) -> None:
    with pytest.raises(ValidationError, match=r"must be (an option of qsub|one line)"):
        lines("openpbs", directives=[own])


def test_a_queue_of_another_server() -> None:
    assert "-q gpu@pbspl4" in lines("openpbs", replace(REQUEST, queue="gpu"), server="pbspl4")


@pytest.mark.parametrize(("style", "kind"), [("nodes", "afterokarray"), ("select", "afterok")])
def test_torque_has_a_word_of_its_own_for_waiting_for_an_array(style: str, kind: str) -> None:
    profile = site("openpbs", resources={"style": style})
    asked = resources.resolve(REQUEST, profile, Machine(2, 1))
    assert f"-W depend={kind}:43[].srv" in directives("lenet", asked, profile, after=After("43[].srv", "sweep"))
    assert "-W depend=afterok:43.srv" in directives("lenet", asked, profile, after=After("43.srv", "lenet"))


def test_each_node_is_another_host_unless_the_profile_says_otherwise() -> None:
    two = replace(REQUEST, nodes=2)
    assert "-l place=scatter" in lines("openpbs", two)
    assert [line for line in lines("openpbs") if "place" in line] == []
    assert "-l place=free" in lines("openpbs", two, resources={"place": "free"})
    assert [line for line in lines("openpbs", two, resources={"chunk": "gpu"}) if "place" in line] == []


@pytest.mark.parametrize(("place", "machines"), [(None, 2), ("scatter:excl", 2), ("free", 1), ("vscatter", 1)])
def test_scattered_chunks_need_as_many_machines(place: str | None, machines: int) -> None:
    profile = site("openpbs", resources={"place": place})
    asked = resources.resolve(replace(REQUEST, nodes=2), profile, Machine(2, 1))
    assert hosts(asked, profile) == machines


def test_files_get_the_permissions_that_the_profile_says() -> None:
    assert "-W umask=027" in lines("openpbs", umask="027")
    assert [line for line in lines("openpbs") if "umask" in line] == []
    with pytest.raises(ValidationError, match="three octal digits in quotes"):
        lines("openpbs", umask="27; rm -r x")
