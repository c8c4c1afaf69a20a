import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hpcbrew.clusters import profiles
from hpcbrew.clusters.profiles import Cluster
from hpcbrew.errors import RequestError
from hpcbrew.job import JobRequest
from hpcbrew.plan import resources
from hpcbrew.plan.hardware import Machine

HERE = Machine(cpus=2, gpus=0)
REQUEST = JobRequest(Path("solver.prototxt"), project="ee")
HOUR = 3600

REFUSED = {
    "walltime": (
        "iitd",
        {"queue": "low", "walltime": 168 * HOUR},
        'queue "low" allows 96:00:00, but 168:00:00 was requested. '
        '"standard" allows 168:00:00: hpcbrew submit … --queue standard',
    ),
    "walltime nowhere": (
        "iitd",
        {"walltime": 200 * HOUR},
        '"standard" allows 168:00:00, but 200:00:00 was requested.',
    ),
    "unknown queue": ("iitd", {"queue": "lwo"}, "has no queue 'lwo'. Did you mean 'low'?"),
    "two words for a queue": ("openpbs", {"queue": "gpu -h"}, "--queue 'gpu -h': must be one word"),
    "a line break in a project": ("iitd", {"project": "ee\nrm -r x"}, r"--project 'ee\nrm -r x': must be one word"),
    "GPUs of a node": ("iitd", {"gpus_per_node": 4}, "has 2 GPUs, but 4 were requested: --nodes 2 --gpus-per-node 2"),
    "GPU type": ("iitd", {"gpus_per_node": 1, "gpu_type": "H1"}, "no GPU type 'H1'. Known types: K40, V100, A100-40"),
    "queue without GPUs": (
        "gadi",
        {"gpus_per_node": 1, "queue": "normal"},
        'queue "normal" has no GPUs. "gpuvolta" allows them',
    ),
    "too few nodes": (
        "polaris",
        {"queue": "prod", "nodes": 2},
        '"prod" is for 10 to 496 nodes, but the request is for 2',
    ),
    "nodes of this machine": ("local", {"nodes": 2}, "allows 1 node, 2 were requested"),
    "GPU of this machine": ("local", {"gpus_per_node": 1}, "this machine has none"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_request_beyond_the_limits_says_what_would_do(case: str) -> None:
    name, asked, said = REFUSED[case]
    with pytest.raises(RequestError, match=re.escape(said)):
        resources.resolve(replace(REQUEST, **asked), profiles.load(name), HERE)


def test_what_is_not_asked_comes_from_the_profile() -> None:
    found = resources.resolve(replace(REQUEST, gpus_per_node=2, gpu_type="V100"), profiles.load("iitd"), HERE)
    assert (found.cpus, found.mem, found.queue, found.walltime) == (8, 48 * 2**30, "standard", 24 * HOUR)
    assert found.select == {"centos": "skylake"}


def test_a_job_without_gpus_goes_to_the_cpu_nodes() -> None:
    assert resources.resolve(REQUEST, profiles.load("iitd"), HERE).select == {"centos": "genoa"}


def test_the_queue_of_a_reservation_is_no_profile_s_to_know() -> None:
    found = resources.resolve(replace(REQUEST, queue="R9920261000"), profiles.load("iitd"), HERE)
    assert (found.queue, found.walltime) == ("R9920261000", 24 * HOUR)
    with pytest.raises(RequestError, match=r"no queue 'R_debug'.*If the site has it, put queues: \{R_debug: \{\}\}"):
        resources.resolve(replace(REQUEST, queue="R_debug"), profiles.load("iitd"), HERE)


def test_the_only_gpu_type_and_its_queue_need_not_be_named() -> None:
    assert resources.resolve(replace(REQUEST, gpus_per_node=1), profiles.load("gadi"), HERE).queue == "gpuvolta"


@pytest.mark.parametrize(
    ("asked", "queue", "cpus"),
    [
        ({}, "gpuvolta", 12),
        ({"gpu_type": "A100"}, "dgxa100", 16),
        ({"queue": "dgxa100"}, "dgxa100", 16),  # its kind of GPU is the only one there
        ({"queue": "gpuhopper", "gpus_per_node": 2}, "gpuhopper", 24),
        ({"gpu_type": "A100", "cpus": 32}, "dgxa100", 32),
    ],
    ids=str,
)
def test_a_kind_of_gpu_may_want_cores_and_a_queue_of_its_own(asked: dict[str, Any], queue: str, cpus: int) -> None:
    """As NCI's dgxa100, which takes no job with fewer than 16 cores a GPU."""
    found = resources.resolve(replace(REQUEST, **{"gpus_per_node": 1, **asked}), profiles.load("gadi"), HERE)
    assert (found.queue, found.cpus) == (queue, cpus)


def test_a_kind_of_gpu_may_want_memory_of_its_own() -> None:
    kinds = {"H100": {"mem_per_gpu": "240G"}, "V100": {}}
    own = {"gpus_per_node": 4, "gpu_types": kinds, "resources": {"mem_per_gpu": "64G"}}
    profile = Cluster.model_validate({**profiles.values("openpbs"), "name": "x", **own})
    for kind, mem in (("H100", 480), ("V100", 128)):
        found = resources.resolve(replace(REQUEST, gpus_per_node=2, gpu_type=kind), profile, HERE)
        assert found.mem == mem * 2**30


def test_the_profile_names_the_kind_of_gpu_where_a_job_must_have_one() -> None:
    """As Imperial's, where a job for GPUs that names none waits for ever."""
    imperial = profiles.load("imperial")
    assert resources.resolve(replace(REQUEST, gpus_per_node=1), imperial, HERE).select == {"gpu_type": "L40S"}
    assert resources.resolve(REQUEST, imperial, HERE).select == {}


def test_the_default_walltime_is_cut_to_that_of_the_queue() -> None:
    found = resources.resolve(replace(REQUEST, queue="debug"), profiles.load("polaris"), HERE)
    assert found.walltime == HOUR


def test_this_machine_gives_all_its_cores_and_the_gpus_it_has() -> None:
    found = resources.resolve(replace(REQUEST, gpus_per_node=1), profiles.load("local"), Machine(cpus=16, gpus=1))
    assert (found.cpus, found.gpus) == (16, 1)


def test_a_missing_project_is_told_apart() -> None:
    iitd = profiles.load("iitd")
    assert resources.missing(resources.resolve(REQUEST, iitd, HERE), iitd) == ""
    assert "--project" in resources.missing(resources.resolve(replace(REQUEST, project=None), iitd, HERE), iitd)


@pytest.mark.parametrize(
    ("asked", "engine", "said"),
    [({"nodes": 2}, "own", None), ({"nodes": 3}, "module", "the other 2 would be idle"),
     ({"gpus_per_node": 2}, "own", None), ({"gpus_per_node": 2}, "module", None)],
)  # fmt: skip
def test_what_would_stand_idle_is_not_asked_for(asked, engine, said) -> None:
    iitd = profiles.load("iitd")
    missing = resources.missing(resources.resolve(replace(REQUEST, **asked), iitd, HERE), iitd, engine)
    assert said in missing if said else not missing


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"cpus": 12}, "openpbs: a node has at most 8 cores, but 12 were requested: give --cpus 8, or more nodes with"),
        ({"mem": 2**37}, "a node has at most 64gb of memory, but 128gb was requested: give --mem 64gb"),
    ],
)
def test_more_than_a_node_has_is_refused_where_the_profile_says_how_much_that_is(asked, said) -> None:
    values = {**profiles.values("openpbs"), "name": "openpbs", "cpus_per_node": 8, "mem_per_node": "64G"}
    with pytest.raises(RequestError, match=re.escape(said)):
        resources.resolve(replace(REQUEST, **asked), Cluster.model_validate(values), HERE)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (
            {"cpus": 100},
            "local: this machine has 2 cores for a job, but 100 were requested: give --cpus 2, or leave it out",
        ),
        (
            {"mem": 2**37},
            "this machine has 8.0 GiB of memory for a job, but 128.0 GiB was requested: request less with --mem",
        ),
        ({"gpus_per_node": 1}, "local: a GPU was requested, but this machine has none"),
    ],
)
def test_more_than_this_machine_has_is_refused_in_its_own_queue(asked, said) -> None:
    with pytest.raises(RequestError, match=re.escape(said)):
        resources.resolve(replace(REQUEST, **asked), profiles.load("local"), Machine(cpus=2, gpus=0, mem=2**33))


def test_a_profile_without_gpus_says_which_key_it_lacks() -> None:
    profile = Cluster.model_validate({**profiles.values("openpbs"), "name": "x", "gpus_per_node": 0})
    with pytest.raises(RequestError, match=r"nodes have none: leave out --gpu .* or put gpus_per_node: N into"):
        resources.resolve(replace(REQUEST, gpus_per_node=1), profile, HERE)
