"""What makes another run of it, and what does not."""

import pytest
from support.small_nets import INPUT, LABELS, ip, loss, made
from support.tiny_solver import parameter

from engine.errors import SnapshotError
from engine.proto import caffe_pb2 as pb
from engine.solver.options import TrainOptions
from engine.solver.snapshot import fingerprint
from engine.solver.solver import Solver

NET = INPUT + LABELS + ip("a", "x", "a", 3) + loss("a")


def _of(net: str = NET, devices: int = 1, **settings) -> dict:
    return fingerprint.of(pb.SolverParameter(**settings), made(net), devices)


def test_the_same_run_has_no_differences():
    assert list(fingerprint.differences(_of(), _of(max_iter=5, base_lr=0.5))) == []
    fingerprint.check(_of(), _of(), "state")


@pytest.mark.parametrize(
    ("now", "message"),
    [
        (_of(type="Adam"), "type was SGD and is Adam"),
        (_of(iter_size=2), "iter_size was 1 and is 2"),
        (_of(devices=2), "devices was 1 and is 2"),
        (_of(NET.replace("dim: 2 dim: 3", "dim: 2 dim: 5")), '"x" was of shape [2, 3] and is [2, 5]'),
        (_of(NET.replace("xavier", "msra")), 'layer "a" has changed'),
        (_of(NET.replace('name: "a"', 'name: "b"')), 'layer "a" is gone; layer "b" is new'),
    ],
)
def test_every_difference_is_said(now, message):
    assert "; ".join(fingerprint.differences(_of(), now)) == message
    with pytest.raises(SnapshotError, match=r"state: the run was set up differently: .* or pass -changed"):
        fingerprint.check(_of(), now, "state")


def test_a_run_that_did_not_say_how_many_devices_it_had_had_one():
    then = {name: value for name, value in _of().items() if name != "devices"}
    assert list(fingerprint.differences(then, _of())) == []
    assert list(fingerprint.differences(then, _of(devices=2))) == ["devices was 1 and is 2"]


def test_a_resume_with_other_class_weights_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    state = Solver(parameter(""), options=TrainOptions(class_weights=(1, 0, 2, 3))).snapshot().state
    with pytest.raises(SnapshotError, match='layer "loss" has changed'):
        Solver(parameter("")).restore(state)
