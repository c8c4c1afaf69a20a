"""What an iteration uses up, and what it leaves."""

import re

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from support.small_nets import INPUT, LABELS, SMALL, X, ip, made

from engine.proto import caffe_pb2 as pb
from engine.solver import step, updates
from engine.solver.backward import Keep
from engine.solver.gradients import Rates, Settings
from engine.solver.step import Carry, StepResult

BATCH = {"x": X, "t": np.float32([0, 2])}


def _iterate(keep: Keep, **settings) -> tuple[Carry, StepResult]:
    """What one iteration was given, and what it left."""
    net, param = made(SMALL), pb.SolverParameter(**settings)
    update = updates.from_solver(param)
    params = [jnp.asarray(value) for value in net.init(1)]
    carry = Carry(params, update.init(params))
    iterate = step.compiled(net, update, Settings.from_solver(param), keep)
    rates = Rates(np.float32(0.1), np.float32(0.9))
    return carry, iterate(*carry, rates, lambda: BATCH, jax.random.key(0), 0)


@pytest.mark.parametrize("iter_size", [1, 2])
@pytest.mark.parametrize("kept", [(), ("steps",), ("values", "finite"), ("debug",)])
def test_only_what_was_asked_for_is_kept(kept: tuple[str, ...], iter_size: int):
    _, done = _iterate(Keep(**dict.fromkeys(kept, True)), iter_size=iter_size)
    assert {name for name in ("steps", "values", "finite", "debug") if getattr(done, name) is not None} == {*kept}


@pytest.mark.parametrize("iter_size", [1, 2])
def test_parameters_and_history_are_used_up(iter_size: int):
    given, done = _iterate(Keep(), iter_size=iter_size)
    assert all(array.is_deleted() for array in jax.tree.leaves(given))
    assert jax.tree.structure(given) == jax.tree.structure(Carry(done.params, done.history))


@pytest.mark.parametrize("iter_size", [1, 2])
def test_what_is_kept_changes_nothing(iter_size: int):
    _, plain = _iterate(Keep(), iter_size=iter_size)
    _, full = _iterate(Keep(steps=True, values=True, finite=True, debug=True), iter_size=iter_size)
    assert float(plain.loss) == pytest.approx(float(full.loss))
    for a, b in zip(plain.params, full.params, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_there_are_as_many_passes_as_iter_size():
    _, done = _iterate(Keep(debug=True), iter_size=3)
    assert (len(done.sinks), len(done.debug)) == (3, 3)


GPU_NET = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 9 dim: 9 } } }
layer { name: "t" type: "Input" top: "t" input_param { shape { dim: 2 } } }
layer { name: "a" type: "Convolution" bottom: "x" top: "a" convolution_param { num_output: 4 kernel_size: 3 pad: 1 } }
layer { name: "n" type: "BatchNorm" bottom: "a" top: "a" }
layer { name: "s" type: "Scale" bottom: "a" top: "a" scale_param { bias_term: true } }
layer { name: "r" type: "ReLU" bottom: "a" top: "a" }
layer { name: "p" type: "Pooling" bottom: "a" top: "p" pooling_param { kernel_size: 3 stride: 2 } }
layer { name: "l" type: "LRN" bottom: "p" top: "l" }
layer { name: "b" type: "Convolution" bottom: "l" top: "b" convolution_param { num_output: 4 kernel_size: 3 } }
layer { name: "v" type: "Pooling" bottom: "b" top: "v" pooling_param { pool: AVE global_pooling: true } }
layer { name: "d" type: "Dropout" bottom: "v" top: "v" }
layer { name: "c" type: "InnerProduct" bottom: "v" top: "c" inner_product_param { num_output: 3 } }
layer { name: "e" type: "SoftmaxWithLoss" bottom: "c" bottom: "t" top: "e" }
"""


@pytest.fixture(scope="module")
def for_a_gpu() -> str:
    """The step as XLA gets it for a GPU."""
    net, param = made(GPU_NET), pb.SolverParameter(momentum=0.9)
    update = updates.from_solver(param)
    params = [jnp.asarray(value) for value in net.init(1)]
    batch = {"x": jnp.zeros((2, 3, 9, 9)), "t": jnp.zeros(2)}
    drawn = step.Drawn(batch, jax.random.key(0), 0)
    rates = Rates(np.float32(0.1), np.float32(0.9))
    whole = step.whole(net, update, Settings.from_solver(param))
    return jax.export.export(whole, platforms=["cuda"])(params, update.init(params), rates, drawn).mlir_module()


@pytest.mark.parametrize("slow", ["scatter", "select_and_scatter", "reduce_window", "custom_call", "while"])
def test_on_a_gpu_the_step_scatters_nothing_and_calls_no_host(slow: str, for_a_gpu: str):
    assert f"stablehlo.{slow}" not in for_a_gpu


def test_on_a_gpu_only_small_matrices_are_transposed(for_a_gpu: str):
    """Layouts of blobs are XLA's to choose, which it does best for convolutions that follow each other as they are."""
    transposed = re.findall(r"stablehlo.transpose .* : \(tensor<([0-9x]+)xf32>\)", for_a_gpu)
    assert all(shape.count("x") == 1 for shape in transposed), transposed


def test_on_a_gpu_only_the_places_of_maxima_are_written_before_they_are_read(for_a_gpu: str):
    assert for_a_gpu.count("stablehlo.optimization_barrier") == 1


def test_on_a_gpu_parameters_and_history_are_donated(for_a_gpu: str):
    main = for_a_gpu[for_a_gpu.index("func.func public @main") :].split("\n", 1)[0]
    assert main.count("tf.aliasing_output") + main.count("jax.buffer_donor") == 2 * 11


SUM = 'layer { name: "s" type: "Reduction" bottom: "b" top: "s" loss_weight: 1 }\n'
ASKING = INPUT + LABELS + ip("a", "x", "a", 3) + 'layer { name: "g" type: "GradientScaler" bottom: "a" top: "g" }\n'


@pytest.mark.parametrize(("iter_size", "dynamic"), [(1, False), (3, False), (2, True)])
def test_a_layer_that_asks_is_told_the_iteration_in_each_pass(iter_size: int, dynamic: bool):
    drops = 'layer { name: "f" type: "Filter" bottom: "g" bottom: "t" top: "f" }\n' if dynamic else ""
    net = made(ASKING + drops + ip("b", "f" if dynamic else "g", "b", 1) + SUM)
    param = pb.SolverParameter(iter_size=iter_size)
    update, (told,) = updates.from_solver(param), [k for k, p in enumerate(net.params) if p.decl.iteration]
    params = [jnp.asarray(value) for value in net.init(1)]
    iterate = step.compiled(net, update, Settings.from_solver(param), Keep(values=True))
    rates = Rates(np.float32(0.1), np.float32(0.9))
    done = iterate(params, update.init(params), rates, lambda: BATCH, jax.random.key(0), 41)
    assert done.params[told] == 42
