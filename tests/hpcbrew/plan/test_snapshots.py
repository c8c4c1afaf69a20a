"""What snapshots take of scratch is told before a job is sent."""

import pytest

from engine.graph.blob_shapes import Sizes
from engine.proto import caffe_pb2 as pb
from hpcbrew.plan import snapshots

SIZES = Sizes(params={"ip": [("weight", (10, 99)), ("bias", (10,))]}, own=[(10, 99), (10,)])
MODEL = 4 * 1000


@pytest.mark.parametrize(
    ("solver", "flags", "arrays"),
    [
        (pb.SolverParameter(max_iter=100, snapshot=10), (), 10 * 2),
        (pb.SolverParameter(max_iter=105, snapshot=10), (), 11 * 2),
        (pb.SolverParameter(max_iter=105, snapshot=10, snapshot_after_train=False), (), 10 * 2),
        (pb.SolverParameter(max_iter=100), (), 2),
        (pb.SolverParameter(max_iter=100, type="Adam", snapshot=50, snapshot_diff=True), (), 2 * 4),
        (pb.SolverParameter(max_iter=100, snapshot=10), (("keep", "2"),), 3 * 2),
        (pb.SolverParameter(max_iter=100, snapshot=10), (("keep", "2"), ("watch", "accuracy")), 4 * 2),
        (pb.SolverParameter(max_iter=20, snapshot=10), (("keep", "9"),), 2 * 2),
    ],
)
def test_as_many_as_there_are_at_a_time(solver: pb.SolverParameter, flags, arrays: int) -> None:
    assert snapshots.need(SIZES, solver, flags) == arrays * MODEL


def test_a_parameter_that_layers_share_is_in_each_of_them_and_has_one_history() -> None:
    shared = Sizes(params={name: [("weight", (10, 100))] for name in "ab"}, own=[(10, 100)])
    assert snapshots.need(shared, pb.SolverParameter(max_iter=1)) == 3 * MODEL


def test_of_parameters_that_are_not_known_nothing_is_told() -> None:
    assert snapshots.need(Sizes(), pb.SolverParameter(max_iter=100)) == 0
