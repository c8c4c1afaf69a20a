"""A net that does not fit is told of before its job is queued."""

from pathlib import Path

import pytest

from engine.graph import blob_shapes, source_shapes
from engine.graph.build import build_graph
from engine.proto import caffe_pb2 as pb
from engine.proto import text
from hpcbrew.clusters.profiles import GpuType
from hpcbrew.job import JobRequest, Resources
from hpcbrew.plan import memory
from hpcbrew.plan.manifest import collect

NET = """
layer { name: "in" type: "Input" top: "x" top: "label" input_param { shape { dim: 10 dim: 3 dim: 8 dim: 8 }
  shape { dim: 10 } } }
layer { name: "conv" type: "Convolution" bottom: "x" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 pad: 1 } }
layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "conv" }
layer { name: "scale" type: "Scale" bottom: "conv" top: "conv" }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "ip" type: "InnerProduct" bottom: "conv" top: "ip" inner_product_param { num_output: 2 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""
PARAMS = 4 * 3 * 9 + 4 + 4 + 4 + 1 + 4 + 2 * 256 + 2
DATA, CONV, IP = 10 * 3 * 64 + 10, 10 * 4 * 64, 10 * 2
GIB = 2**30


def need(solver: pb.SolverParameter, *flags: tuple[str, str], net: str = NET, gpu: bool = False) -> int:
    graph = build_graph(text.parse(net, pb.NetParameter), pb.NetState(phase=pb.TRAIN))
    sources = {i: source_shapes.given(node) or [] for i, node in enumerate(graph.nodes) if not node.bottoms}
    return memory.need(graph, blob_shapes.sizes(graph, sources), solver, flags, gpu=gpu)


def test_blobs_are_kept_once_and_what_batchnorm_normalises_besides() -> None:
    blobs = DATA + 2 * CONV + IP + 1 + memory.PASSING_CPU * CONV
    assert need(pb.SolverParameter()) == 4 * (3 * PARAMS + blobs)
    assert need(pb.SolverParameter(type="Adam")) == 4 * (4 * PARAMS + blobs)
    assert need(pb.SolverParameter(display=10)) == 4 * (5 * PARAMS + blobs)
    assert need(pb.SolverParameter(), ("precision", "bfloat16")) == 4 * 3 * PARAMS + 2 * blobs


def test_a_gpu_keeps_what_gradients_are_computed_from() -> None:
    """Of conv, that is what is normalised, and what the next layer reads."""
    blobs = DATA + 2 * CONV + IP + memory.PASSING_GPU * CONV
    assert need(pb.SolverParameter(), gpu=True) == 4 * (3 * PARAMS + blobs)
    products = DATA + CONV + IP + (memory.PASSING_GPU + 1) * CONV
    assert need(pb.SolverParameter(), ("recompute", ""), gpu=True) == 4 * (3 * PARAMS + products)
    assert need(pb.SolverParameter(), ("recompute", "")) == need(pb.SolverParameter())


def test_a_parameter_that_layers_share_is_there_once() -> None:
    layer = 'layer {{ name: "{0}" type: "InnerProduct" bottom: "x" top: "{0}" param {{ name: "w" }} {1} }}'.format
    block = "inner_product_param { num_output: 3 bias_term: false }"
    source = 'layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 1 dim: 50 } } }'
    one, two = (
        need(pb.SolverParameter(), net=source + "".join(layer(n, block) for n in names)) for names in ("a", "ab")
    )
    assert two - one == 4 * 3  # its top


def test_of_a_net_of_unknown_sizes_nothing_is_told() -> None:
    unknown = 'layer { name: "in" type: "Python" top: "x" } layer { name: "r" type: "ReLU" bottom: "x" top: "y" }'
    assert need(pb.SolverParameter(), net=unknown) == 0


def kind(memory: str) -> GpuType:
    return GpuType.model_validate({"memory": memory})


def asked(gpus: int = 0, mem: int | None = None) -> Resources:
    return Resources(1, gpus, 4, mem, 3600, None, None, {})


@pytest.mark.parametrize(
    ("needed", "resources", "gpu", "said"),
    [
        (20 * GIB, asked(gpus=1), kind("12G"), "20.0 GiB or more of GPU memory, but of the 12.0"),
        (11 * GIB, asked(gpus=1), kind("12G"), "JAX gets 10.8 GiB"),
        (10 * GIB, asked(gpus=1), kind("12G"), None),
        (20 * GIB, asked(gpus=1, mem=GIB), GpuType(), None),
        (20 * GIB, asked(gpus=1), None, None),
        (1 * GIB, asked(mem=1 * GIB), None, "the job requests 1.0 GiB: request more with --mem"),
        (1 * GIB, asked(mem=2 * GIB), None, None),
        (20 * GIB, asked(), None, None),
    ],
)
def test_what_does_not_fit_is_said(needed: int, resources: Resources, gpu: GpuType | None, said: str | None) -> None:
    found = memory.warnings(needed, 100, resources, gpu, [])
    assert [said in words for words in found] == [True] if said else found == []


def test_a_kind_of_gpu_that_has_enough_is_named() -> None:
    kinds = {"K40": kind("12G"), "V100": kind("32G")}
    (words,) = memory.warnings(20 * GIB, 100, asked(gpus=1), kinds["K40"], kinds.items())
    assert words.endswith(", or --gpu-type V100")


def test_a_net_of_more_layers_takes_more_to_compile() -> None:
    left = 2 * GIB - memory.PROCESS
    assert not memory.warnings(left - 20 * memory.LAYER, 20, asked(mem=2 * GIB), None, [])
    assert memory.warnings(left - 20 * memory.LAYER, 21, asked(mem=2 * GIB), None, [])


def test_the_net_that_is_trained_is_told_of_where_tests_are_in_phase_train_too(model: Path) -> None:
    tests = 'test_iter: 1 test_interval: 1 test_state { phase: TRAIN stage: "test" }'
    (model / "solver.prototxt").write_text(f'base_lr: 0.1 lr_policy: "fixed" net: "net.prototxt" {tests}')
    source = 'layer {{ name: "in" type: "Input" top: "x" input_param {{ shape {{ dim: {} }} }} include {{ {} }} }}'
    (model / "net.prototxt").write_text(source.format(5, 'not_stage: "test"') + source.format(7, 'stage: "test"'))
    assert [*collect(JobRequest(model / "solver.prototxt")).sizes.blobs.values()] == [(5,)]
