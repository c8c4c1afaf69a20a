import subprocess
import sys

import pytest

from engine.proto import binary, text
from engine.proto import caffe_pb2 as pb
from engine.tools import upgrade_net_proto_binary, upgrade_net_proto_text, upgrade_solver_proto_text

TOOLS = (upgrade_net_proto_text, upgrade_net_proto_binary, upgrade_solver_proto_text)
OLD = pb.NetParameter(
    layers=[pb.V1LayerParameter(name="r", type=pb.V1LayerParameter.RELU, blobs=[pb.BlobProto(num=1)])]
)
NEW = pb.NetParameter(layer=[pb.LayerParameter(name="r", type="ReLU", blobs=[pb.BlobProto(num=1)])])


def test_the_text_of_a_net_is_upgraded(tmp_path):
    text.write(tmp_path / "old.prototxt", OLD)
    assert upgrade_net_proto_text.main([str(tmp_path / "old.prototxt"), str(tmp_path / "new.prototxt")]) == 0
    assert text.read(tmp_path / "new.prototxt", pb.NetParameter) == NEW


def test_a_binary_net_is_upgraded_in_its_place(tmp_path):
    file = tmp_path / "net.caffemodel"
    binary.write(file, OLD)
    assert upgrade_net_proto_binary.main([str(file), str(file)]) == 0
    assert binary.read(file, pb.NetParameter) == NEW


def test_a_solver_is_upgraded(tmp_path):
    text.write(tmp_path / "old.prototxt", pb.SolverParameter(solver_type="ADAM"))
    assert upgrade_solver_proto_text.main([str(tmp_path / "old.prototxt"), str(tmp_path / "new.prototxt")]) == 0
    assert text.read(tmp_path / "new.prototxt", pb.SolverParameter) == pb.SolverParameter(type="Adam")


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.__name__)
def test_a_file_that_cannot_be_read_gives_status_2_and_no_file(tool, tmp_path, capsys):
    out = tmp_path / "new"
    assert tool.main([str(tmp_path / "gone"), str(out)]) == 2
    assert f"{tool.__name__.rpartition('.')[2]}: error: {tmp_path / 'gone'}: " in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.__name__)
def test_a_missing_argument_gives_status_1_and_the_usage(tool, capsys):
    assert tool.main(["only-one"]) == 1
    assert "Usage: " in capsys.readouterr().err


def test_a_new_file_can_go_into_a_pipe_with_the_notices_apart(tmp_path):
    text.write(tmp_path / "old.prototxt", OLD)
    command = [sys.executable, "-m", upgrade_net_proto_text.__name__, tmp_path / "old.prototxt", "/dev/stdout"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert text.parse(done.stdout, pb.NetParameter) == NEW
    assert "is in the form of 2014" in done.stderr


def test_a_model_is_written_as_that_of_the_fork_that_is_said(tmp_path):
    net = pb.NetParameter(layer=[pb.LayerParameter(type="Permute", permute_param={"order": [1]})])
    (tmp_path / "in.caffemodel").write_bytes(net.SerializeToString())
    source, target = str(tmp_path / "in.caffemodel"), tmp_path / "out.caffemodel"
    assert upgrade_net_proto_binary.main(["-fork", "caffe-windows", source, str(target)]) == 0
    assert b"\x82\x0e" in target.read_bytes()  # the tag of its permute_param, 224
    assert binary.read_net(target, "caffe-windows").layer[0].permute_param.order == [1]
