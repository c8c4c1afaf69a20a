from dataclasses import replace
from pathlib import Path

import pytest

from engine.proto import caffe_pb2 as pb
from hpcbrew.clusters import profiles
from hpcbrew.errors import RequestError
from hpcbrew.job import JobRequest
from hpcbrew.plan.job_name import job_name, told_apart
from hpcbrew.plan.manifest import Manifest


def named(net: str, solver: str = "/cats/solver.prototxt", cluster: str = "iitd", **asked: object) -> str:
    manifest = Manifest(Path(solver), {"net.prototxt": pb.NetParameter(name=net)}, (), (), {}, (), None)
    return job_name(replace(JobRequest(Path(solver)), **asked), manifest, profiles.load(cluster))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("net", "solver", "name"),
    [
        ("LeNet", "lenet/solver.prototxt", "lenet"),
        ("LeNet", "lenet/lenet_solver.prototxt", "lenet"),
        ("LeNet", "lenet/solver_full.prototxt", "lenet-full"),
        ("CIFAR10_quick", "cifar10_quick_solver_lr1.prototxt", "cifar10_quick-lr1"),
        ("", "cats/solver.prototxt", "cats"),
        ("Net", "cats/solver.prototxt", "cats"),
        ("train_val", "models/adam.prototxt", "adam"),
        ("net", "models/solver.prototxt", "net"),
        ("", "/solver.prototxt", "solver"),
        ("My Net!", "x/solver.prototxt", "my-net"),
    ],
)
def test_the_net_gives_the_name_and_the_solver_s_file_what_tells_it_apart(net: str, solver: str, name: str) -> None:
    assert named(net, solver) == name
    assert told_apart(net, Path(solver))


def test_a_name_starts_with_a_letter_and_is_not_too_long() -> None:
    assert named("16 layers") == "job-16-layers"
    assert len(named("n" * 300)) == 40


def test_a_second_job_of_a_name_is_told_apart() -> None:
    assert named("LeNet", names_in_use=frozenset({"lenet", "lenet-2"})) == "lenet-3"
    assert named("n" * 300, names_in_use=frozenset({"n" * 40})) == f"{'n' * 38}-2"


def test_a_name_that_was_asked_for_is_taken_as_it_is() -> None:
    assert named("LeNet", name="mine", names_in_use=frozenset({"mine"})) == "mine"
    with pytest.raises(RequestError, match=r"--name '1st': a job name must start with a letter"):
        named("LeNet", name="1st")
