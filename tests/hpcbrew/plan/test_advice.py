from pathlib import Path

import pytest

from engine.proto import caffe_pb2 as pb
from hpcbrew.errors import RequestError
from hpcbrew.plan import advice

PATH = Path("solver.prototxt")
SOLVER = pb.SolverParameter(lr_policy="fixed")


def test_a_solver_says_how_long_it_trains() -> None:
    advice.check_length(pb.SolverParameter(max_iter=0), PATH)
    with pytest.raises(RequestError, match=r"^solver\.prototxt: max_iter is missing"):
        advice.check_length(pb.SolverParameter(), PATH)


@pytest.mark.parametrize(
    ("solver", "gpus", "said"),
    [
        (SOLVER, 0, "test_iter is missing"),
        (pb.SolverParameter(lr_policy="step", stepsize=5, test_iter=[1]), 0, "gamma, which is missing and counts as 0"),
        (
            pb.SolverParameter(lr_policy="fixed", test_iter=[1], solver_mode=pb.SolverParameter.GPU),
            0,
            "it trains on the CPU. --gpu",
        ),
        (pb.SolverParameter(lr_policy="fixed", test_iter=[1], solver_mode=pb.SolverParameter.GPU), 1, None),
        (pb.SolverParameter(lr_policy="fixed", test_iter=[1]), 0, None),
    ],
)
def test_what_would_come_as_a_surprise_is_said(solver: pb.SolverParameter, gpus: int, said: str | None) -> None:
    found = list(advice.warnings(solver, PATH, gpus, tests=True))
    assert [said in words for words in found] == [True] if said else found == []


def test_a_net_without_tests_needs_no_test_iter() -> None:
    assert not list(advice.warnings(SOLVER, PATH, 0, tests=False))
