"""-precision bfloat16: low where layers ask for it, float32 wherever numbers are summed up or kept."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support.tiny_solver import parameter

from engine.net.net import Net
from engine.proto import caffe_pb2 as pb
from engine.proto import text
from engine.solver.backward import Keep, Passed, backward
from engine.solver.options import TrainOptions
from engine.solver.solver import Solver

LENET = """
layer { name: "in" type: "Input" top: "x" top: "t"
  input_param { shape { dim: 16 dim: 1 dim: 12 dim: 12 } shape { dim: 16 } } }
layer { name: "centred" type: "Bias" bottom: "x" top: "centred" }
layer { name: "conv1" type: "Convolution" bottom: "x" top: "c"
  convolution_param { num_output: 6 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "norm" type: "BatchNorm" bottom: "c" top: "n" }
layer { name: "pool1" type: "Pooling" bottom: "n" top: "p" pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layer { name: "relu1" type: "ReLU" bottom: "p" top: "p" }
layer { name: "ip1" type: "InnerProduct" bottom: "p" top: "h"
  inner_product_param { num_output: 16 weight_filler { type: "xavier" } } }
layer { name: "relu2" type: "ReLU" bottom: "h" top: "h" }
layer { name: "ip2" type: "InnerProduct" bottom: "h" top: "y"
  inner_product_param { num_output: 4 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "y" bottom: "t" top: "loss" }
layer { name: "accuracy" type: "Accuracy" bottom: "y" bottom: "t" top: "accuracy" }
"""


def _batch() -> dict[str, np.ndarray]:
    """Pictures of four kinds: one quarter of each is bright."""
    rng = np.random.default_rng(0)
    t = np.arange(16) % 4
    x = rng.standard_normal((16, 1, 12, 12)).astype(np.float32)
    for item, kind in zip(x, t, strict=True):
        item[0, kind // 2 * 6 :][:6, kind % 2 * 6 :][:, :6] += 1
    return {"x": x, "t": t.astype(np.float32)}


@pytest.fixture(scope="module")
def passed() -> dict[str, Passed]:
    """A pass of the same net and parameters in both precisions."""
    done = {}
    for precision in ("float32", "bfloat16"):
        net = Net.from_param(text.parse(LENET, pb.NetParameter))
        net = Net(net.graph, precision=precision)
        params = [jnp.asarray(p) for p in net.init(3)]
        run = jax.jit(lambda p, x, net=net: backward(net, p, x, jax.random.key(0), Keep(values=True)))
        done[precision] = run(params, _batch())
    return done


def test_layers_compute_in_what_they_declare(passed):
    values = passed["bfloat16"].values.items()
    found = {v.blob: str(x.dtype) for v, x in values if "_split_" not in v.blob}
    assert found == {
        "x": "float32", "t": "float32", "centred": "float32", "c": "bfloat16", "n": "bfloat16", "p": "bfloat16",
        "h": "bfloat16",
        "y": "bfloat16", "loss": "float32",
        "accuracy": "float32",
    }  # fmt: skip


def test_parameters_gradients_and_statistics_stay_float32(passed):
    low = passed["bfloat16"]
    assert {x.dtype for x in (*low.params, *low.grads, low.loss, *low.outputs.values())} == {np.dtype("float32")}


def test_gradients_are_those_of_float32_within_what_bfloat16_holds(passed):
    """Pooling's maxima may lie elsewhere by rounding, so one element may differ more than all together."""
    full, low = passed["float32"], passed["bfloat16"]
    assert float(low.loss) == pytest.approx(float(full.loss), rel=2e-2)
    assert low.loss != full.loss
    a, b = (np.concatenate([np.ravel(g) for g in one.grads]) for one in (full, low))
    assert 0 < np.linalg.norm(b - a) < 0.1 * np.linalg.norm(a)


def test_a_net_learns(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    param = parameter("base_lr: 0.05 momentum: 0.9", LENET)
    solver = Solver(param, options=TrainOptions(precision="bfloat16"))
    solver.batches.values.update(_batch())
    solver.step(1)
    before = float(solver.state.losses[-1])
    solver.step(30)
    assert float(solver.state.losses[-1]) < 0.1 * before
    model = pb.NetParameter()
    model.ParseFromString(solver.snapshot().model.read_bytes())
    assert all(isinstance(x, float) for layer in model.layer for blob in layer.blobs for x in blob.data[:1])
