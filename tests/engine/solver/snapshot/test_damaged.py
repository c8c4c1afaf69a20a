"""Models and states that fuzzing broke: each is refused in words that name it."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from support.small_nets import made

from engine.errors import EngineError, SnapshotError
from engine.net.net import Net
from engine.proto import binary
from engine.proto import caffe_pb2 as pb
from engine.solver.snapshot import formats

NET = """
layer { name: "in" type: "Input" top: "data" input_param { shape { dim: 2 dim: 1 dim: 8 dim: 8 } } }
layer { name: "c" type: "Convolution" bottom: "data" top: "c" convolution_param { num_output: 2 kernel_size: 3 } }
layer { name: "bn" type: "BatchNorm" bottom: "c" top: "c" }
layer { name: "ip" type: "InnerProduct" bottom: "c" top: "ip" inner_product_param { num_output: 3 } }
"""
DAMAGED = sorted((Path(__file__).parent / "damaged").iterdir())


@pytest.fixture(scope="module")
def net() -> Net:
    return made(NET)


@pytest.mark.parametrize("path", DAMAGED, ids=lambda p: p.name)
def test_damage_is_told(path: Path, net: Net):
    with pytest.raises(EngineError, match=path.name):
        read(path, net)


def read(path: Path, net: Net) -> None:
    if "caffemodel" in path.name:
        formats.load_model(path, net, net.init(1))
    else:
        formats.find_model(formats.read_state(path), path)


@pytest.mark.parametrize(
    "state",
    [
        pb.SolverState(iter=-1),
        pb.SolverState(iter=1, current_step=-1),
        pb.SolverState(iter=1, history=[pb.BlobProto(num=-1, channels=1, height=1, width=1, data=[1])]),
        pb.SolverState(iter=1, learned_net="n" * 300),
        pb.SolverState(iter=1, learned_net="a\0b"),
    ],
)
def test_values_that_no_solver_writes(tmp_path, state):
    path = tmp_path / "x.solverstate"
    binary.write(path, state)
    with pytest.raises(SnapshotError, match=r"x\.solverstate"):
        formats.find_model(formats.read_state(path), path)


def test_a_model_reads_no_other_file(tmp_path, net):
    (tmp_path / "secret").write_bytes(bytes(range(72)))
    path = tmp_path / "m.caffemodel.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("data/c/0", (2, 1, 3, 3), "f4", external=[(tmp_path / "secret", 0, 72)])
        file["data/c/1"] = np.zeros(2)
    with pytest.raises(SnapshotError, match=r'm\.caffemodel\.h5: dataset "data/c/0" keeps its values in other files'):
        formats.load_model(path, net, net.init(1))


def test_a_state_reads_no_other_file(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["0"] = np.zeros(2)
    path = tmp_path / "x.solverstate.h5"
    with h5py.File(path, "w") as file:
        file["iter"], file["current_step"] = [1], [0]
        file["history"] = h5py.ExternalLink(tmp_path / "other.h5", "/")
    with pytest.raises(SnapshotError, match=r'x\.solverstate\.h5: "history" is a link into another file'):
        formats.read_state(path)
