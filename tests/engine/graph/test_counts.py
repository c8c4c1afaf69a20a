"""How many bottoms and tops Caffe's own types take, known without JAX and by the layers."""

import pytest

import engine.layers  # noqa: F401  registers them
from engine.errors import LayerError
from engine.graph import counts
from engine.graph.build import build_graph
from engine.layers.registry import REGISTRY
from engine.proto import caffe_pb2 as pb
from engine.proto import text
from engine.proto.layer_names import BVLC


@pytest.mark.parametrize("kind", sorted(BVLC))
def test_a_loss_is_told_by_its_name(kind: str) -> None:
    assert REGISTRY[kind].loss == kind.endswith("Loss")


def test_layers_of_forks_are_left_to_themselves() -> None:
    net = text.parse('layer { name: "l" type: "Proposal" top: "a" top: "b" }', pb.NetParameter)
    counts.check(build_graph(net, pb.NetState()))


def test_a_loss_that_names_no_top_has_one() -> None:
    net = text.parse(
        'layer { name: "in" type: "Input" top: "x" top: "y" } '
        'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "x" bottom: "y" }',
        pb.NetParameter,
    )
    counts.check(build_graph(net, pb.NetState()))


def test_the_layer_and_its_place_are_named(tmp_path) -> None:
    path = tmp_path / "net.prototxt"
    read = 'layer { name: "l" type: "ReLU" bottom: "x" bottom: "x" top: "a" }'
    path.write_text(f'layer {{ name: "in" type: "Input" top: "x" }}\n{read}\n')
    with pytest.raises(LayerError, match=r'net\.prototxt:2: layer "l" \(ReLU\): it has 2 bottoms and takes 1\.$'):
        counts.check(build_graph(text.read_net(path), pb.NetState(), path))
