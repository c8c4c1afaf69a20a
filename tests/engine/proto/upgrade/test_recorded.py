"""What BVLC Caffe 1.0 makes of old files: NAME.upgraded.prototxt, recorded from its own tools."""

from pathlib import Path

import pytest

from engine.proto import caffe_pb2 as pb
from engine.proto import text, upgrade

RECORDED = Path(__file__).parent / "recorded"
NETS = ("v0_net", "v1_net", "v1_data", "bn_net")


def recorded(name, message_class):
    return text.read(RECORDED / f"{name}.upgraded.prototxt", message_class)


@pytest.mark.parametrize("name", NETS)
def test_a_net_becomes_what_caffe_makes_of_it(name):
    assert text.read_net(RECORDED / f"{name}.prototxt") == recorded(name, pb.NetParameter)


def test_a_solver_becomes_what_caffe_makes_of_it():
    assert text.read_solver(RECORDED / "old_solver.prototxt") == recorded("old_solver", pb.SolverParameter)


@pytest.mark.parametrize("name", NETS)
def test_a_net_of_today_stays_as_it_is(name):
    net = recorded(name, pb.NetParameter)
    assert upgrade.upgrade_net(net) == []
    assert net == recorded(name, pb.NetParameter)


@pytest.mark.parametrize("name", [*NETS, "old_solver"])
def test_what_caffe_prints_is_printed(name):
    message_class = pb.SolverParameter if "solver" in name else pb.NetParameter
    file = RECORDED / f"{name}.upgraded.prototxt"
    assert text.format(recorded(name, message_class)) == file.read_text(encoding="utf-8")
