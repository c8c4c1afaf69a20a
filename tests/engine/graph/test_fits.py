"""What does not fit is refused without JAX as the layers refuse it."""

import pytest

import engine.layers  # noqa: F401  registers them
from engine.errors import LayerError
from engine.graph import blob_shapes
from engine.graph.build import build_graph
from engine.net.net import Net
from engine.proto import caffe_pb2 as pb
from engine.proto import text

SOURCE = 'layer { name: "in" type: "Input" top: "x" top: "y" input_param { shape { dim: 2 dim: 6 } shape { dim: 3 } } }'
REFUSED = {
    'type: "InnerProduct" bottom: "x" top: "a"': "inner_product_param needs num_output of 1 or more",
    'type: "InnerProduct" bottom: "x" top: "a" inner_product_param { num_output: 5 weight_filler { type: "xaver" } }': (
        'unknown filler type "xaver"; .*Did you mean "xavier"'
    ),
    'type: "InnerProduct" bottom: "x" top: "a" inner_product_param { num_output: 5 bias_filler { type: "he" } }': (
        'unknown filler type "he"'
    ),
    'type: "Convolution" bottom: "x" top: "a"': "convolution_param needs num_output of 1 or more",
    'type: "Convolution" bottom: "x" top: "a" convolution_param { num_output: 8 kernel_size: 1 group: 4 }': (
        'the 6 channels of bottom "x" cannot be split into group: 4'
    ),
    'type: "Convolution" bottom: "x" top: "a" convolution_param { num_output: 8 kernel_size: 1 group: 3 }': (
        "num_output 8 cannot be split into group: 3"
    ),
    'type: "Convolution" bottom: "x" top: "a" convolution_param { num_output: 8 kernel_size: 1 group: 0 }': "group is",
    'type: "Eltwise" bottom: "x" bottom: "y" top: "a"': r'bottom "y" has shape \[3\] and bottom "x" \[2, 6\]; they',
    'type: "Concat" bottom: "x" bottom: "y" top: "a"': r'"y" has shape \[3\] .* may differ along axis 1 only',
    'type: "Concat" bottom: "x" top: "a" concat_param { axis: 1 concat_dim: 1 }': "it has axis and concat_dim",
    'type: "Slice" bottom: "x" top: "a" top: "b" top: "c" top: "d"': "do not make 4 equal tops",
    'type: "Slice" bottom: "x" top: "a" top: "b" slice_param { slice_point: 1 slice_point: 2 }': "2 slice_point for 2",
    'type: "Slice" bottom: "x" top: "a" top: "b" slice_param { slice_point: 6 }': r"slice_point \[6\] must rise",
}


@pytest.mark.parametrize(("layer", "said"), REFUSED.items())
def test_what_does_not_fit_is_refused_in_the_layers_words(layer: str, said: str) -> None:
    net = text.parse(f'{SOURCE} layer {{ name: "l" {layer} }}', pb.NetParameter)
    graph = build_graph(net, pb.NetState())
    with pytest.raises(LayerError, match=f'^layer "l" .*{said}') as told:
        blob_shapes.sizes(graph, {"in": [(2, 6), (3,)]})
    with pytest.raises(LayerError) as refused:
        Net.from_param(net)
    assert str(told.value) == str(refused.value)
