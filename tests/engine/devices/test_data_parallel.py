"""Several devices: of one process, as XLA makes of a CPU, and of two processes, as on two nodes."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from support.until import until

from engine.data.datum import raw
from engine.data.lmdb_writer import LMDBWriter
from engine.proto import caffe_pb2 as pb

DATA = """
layer { name: "d" type: "Data" top: "x" top: "t" include { phase: TRAIN } transform_param { scale: 0.00390625 }
  data_param { source: "db" batch_size: 3 backend: LMDB } }
"""
PLAIN = """
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y"
  inner_product_param { num_output: 4 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "y" bottom: "t" top: "loss" }
"""
# Draws numbers, keeps averages, and remembers from one batch to the next.
RANDOM = """
layer { name: "s" type: "DummyData" top: "s" top: "c" dummy_data_param { data_filler { type: "gaussian" }
  shape { dim: 2 dim: 3 dim: 5 } data_filler { value: 1 } shape { dim: 2 dim: 3 } } }
layer { name: "lstm" type: "LSTM" bottom: "s" bottom: "c" top: "r"
  recurrent_param { num_output: 4 weight_filler { type: "uniform" min: -0.5 max: 0.5 } } }
layer { name: "mean" type: "Reduction" bottom: "r" top: "m" loss_weight: 0.1 }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "h"
  inner_product_param { num_output: 8 weight_filler { type: "xavier" } } }
layer { name: "bn" type: "BatchNorm" bottom: "h" top: "h" }
layer { name: "drop" type: "Dropout" bottom: "h" top: "h" }
layer { name: "ip2" type: "InnerProduct" bottom: "h" top: "y"
  inner_product_param { num_output: 4 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "y" bottom: "t" top: "loss" }
"""
SETTINGS = 'base_lr: 0.1 lr_policy: "fixed" momentum: 0.9 max_iter: 6 random_seed: 7 net: "net.prototxt" '

Start = Callable[..., subprocess.Popen]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts `caffe train` in tmp_path; what it prints goes to NAME.log there."""
    with LMDBWriter(tmp_path / "db") as db:
        rng = np.random.default_rng(1)
        for i in range(13):
            db.put(b"%08d" % i, raw(rng.integers(0, 256, (1, 7, 7), np.uint8), i % 4).SerializeToString())

    begun: list[subprocess.Popen] = []

    def run(name: str, layers: str, settings: str = "", *flags: str, **environment: str) -> subprocess.Popen:
        (tmp_path / "net.prototxt").write_text(f'name: "several" {DATA} {layers}')
        (tmp_path / f"{name}.prototxt").write_text(f'{SETTINGS} snapshot_prefix: "{name}" {settings}')
        command = [sys.executable, "-P", "-m", "engine.cli", "train", "-solver", f"{name}.prototxt", *flags]
        with (tmp_path / f"{name}{environment.get('HPCBREW_RANK', '')}.log").open("wb") as log:
            own = {"JAX_PLATFORMS": "cpu"} | environment
            begun.append(subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log, env=os.environ | own))
        return begun[-1]

    yield run
    for process in begun:
        process.kill()
        process.wait()


DEVICES = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}


@pytest.fixture
def two_nodes(start: Start) -> Callable[..., list[subprocess.Popen]]:
    """The same, in two processes that train together: the first is the root."""

    def run(name: str, layers: str, settings: str = "", *flags: str) -> list[subprocess.Popen]:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            host = f"127.0.0.1:{probe.getsockname()[1]}"
        both = {"HPCBREW_COORDINATOR": host, "HPCBREW_NODES": "2"}
        return [start(name, layers, settings, *flags, **both, HPCBREW_RANK=str(rank)) for rank in (0, 1)]

    return run


def ended(*processes: subprocess.Popen) -> list[int]:
    return [process.wait(timeout=180) for process in processes]


def model(path: Path) -> list[np.ndarray]:
    net = pb.NetParameter.FromString(path.read_bytes())
    return [np.array(blob.data, np.float32) for layer in net.layer for blob in layer.blobs]


def equal(a: list[np.ndarray], b: list[np.ndarray]) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_two_devices_average_the_gradients_of_two_batches(start: Start, two_nodes, tmp_path: Path):
    """That is what one device does with iter_size 2."""
    assert ended(start("summed", PLAIN, "iter_size: 2"), start("devices", PLAIN, **DEVICES)) == [0, 0]
    assert ended(*two_nodes("nodes", PLAIN)) == [0, 0]
    summed, devices, nodes = (model(tmp_path / f"{n}_iter_6.caffemodel") for n in ("summed", "devices", "nodes"))
    for a, b in zip(summed, devices, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)
    assert equal(devices, nodes)


def test_stopped_and_resumed_they_come_to_the_same(start: Start, two_nodes, tmp_path: Path):
    assert ended(start("whole", RANDOM, **DEVICES), *two_nodes("nodes", RANDOM, "", "-iterations", "3")) == [0, 0, 0]
    state = "nodes_iter_3.solverstate"
    assert ended(*two_nodes("nodes", RANDOM, "", "-snapshot", state)) == [0, 0]
    assert equal(model(tmp_path / "whole_iter_6.caffemodel"), model(tmp_path / "nodes_iter_6.caffemodel"))
    assert ended(start("nodes", RANDOM, "", "-snapshot", state)) == [2]
    assert "devices was 2 and is 1" in (tmp_path / "nodes.log").read_text()


def test_what_one_node_is_asked_all_do(two_nodes, tmp_path: Path):
    nodes = two_nodes("asked", PLAIN, "display: 1", "-iterations", "1000000")
    until(lambda: "Iteration 3 " in (tmp_path / "asked1.log").read_text(), 120)
    nodes[1].send_signal(signal.SIGTERM)
    assert ended(*nodes) == [75, 75]
    assert len(list(tmp_path.glob("asked_iter_*.solverstate"))) == 1


def test_a_node_that_loses_another_says_so(two_nodes, tmp_path: Path):
    root, other = two_nodes("lost", PLAIN, "display: 1", "-iterations", "1000000")
    until(lambda: "Iteration 3 " in (tmp_path / "lost0.log").read_text(), 120)
    other.kill()
    assert ended(root) == [2]
    assert "caffe: error: another of the 2 nodes ended or was lost" in (tmp_path / "lost0.log").read_text()


def test_a_layer_that_must_be_alone_is_refused(start: Start, tmp_path: Path):
    sink = 'layer { name: "out" type: "HDF5Output" bottom: "y" bottom: "t" hdf5_output_param { file_name: "out.h5" } }'
    assert ended(start("sink", f"{PLAIN} {sink}", **DEVICES)) == [2]
    assert 'layer "out" (HDF5Output): it writes one file, but 2 devices' in (tmp_path / "sink.log").read_text()


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"HPCBREW_NODES": "2"}, "HPCBREW_COORDINATOR is set, but HPCBREW_RANK is ''; it must be a number"),
        ({"HPCBREW_NODES": "2", "HPCBREW_RANK": "2"}, "HPCBREW_RANK is 2, but HPCBREW_NODES is 2: ranks count from 0"),
    ],
)
def test_an_environment_that_makes_no_sense_is_named(start: Start, tmp_path: Path, environment, said):
    assert ended(start("odd", PLAIN, HPCBREW_COORDINATOR="127.0.0.1:1", **environment)) == [2]
    assert said in (tmp_path / f"odd{environment.get('HPCBREW_RANK', '')}.log").read_text()


PLACED = """
import jax, numpy as np
from engine.data.pixels import Pixels
from engine.devices.data_parallel import DataParallel
values = np.arange(24, dtype=np.uint8).reshape(2, 3, 2, 2)
batches = [{"x": Pixels(values + k, np.float32([[[1]]])), "t": np.float32([k, k])} for k in range(2)]
placed = DataParallel(jax.devices()).place(batches)
assert [shard.data.shape for shard in placed["x"].addressable_shards] == [(1, 2, 3, 2, 2)] * 2
np.testing.assert_array_equal(placed["x"], np.stack([values - np.float32(1), values]))
np.testing.assert_array_equal(placed["t"], [[0, 0], [1, 1]])
"""


def test_each_device_finishes_its_own_pictures():
    environment = os.environ | DEVICES | {"JAX_PLATFORMS": "cpu"}
    subprocess.run([sys.executable, "-P", "-c", PLACED], env=environment, check=True)
