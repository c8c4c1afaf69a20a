"""What is told of sizes without JAX is what the layers say."""

import pytest

import engine.layers  # noqa: F401  registers them
from engine.errors import LayerError
from engine.graph import blob_shapes, same_shape
from engine.graph.build import build_graph
from engine.net.net import Net
from engine.proto import caffe_pb2 as pb
from engine.proto import text

SOURCES = """
layer { name: "in" type: "Input" top: "x" top: "label" input_param { shape { dim: 2 dim: 4 dim: 9 dim: 11 }
  shape { dim: 2 } } }
layer { name: "dummy" type: "DummyData" top: "y" dummy_data_param { num: 2 channels: 4 height: 9 width: 11 } }
"""
LAYERS = {
    "convolution": """type: "Convolution" bottom: "x" bottom: "y" top: "a" top: "b"
      convolution_param { num_output: 6 kernel_h: 3 kernel_w: 2 stride: 2 pad: 1 dilation: 2 group: 2 }""",
    "depthwise": 'type: "ConvolutionDepthwise" bottom: "x" top: "a" convolution_param { kernel_size: 3 }',
    "deconvolution": """type: "Deconvolution" bottom: "x" top: "a"
      convolution_param { num_output: 6 kernel_size: 4 stride: 2 pad: 1 group: 2 bias_term: false }""",
    "pooling": 'type: "Pooling" bottom: "x" top: "a" top: "b" pooling_param { kernel_size: 3 stride: 2 pad: 1 }',
    "global pooling": 'type: "Pooling" bottom: "x" top: "a" pooling_param { pool: AVE global_pooling: true }',
    "inner product": 'type: "InnerProduct" bottom: "x" top: "a" inner_product_param { num_output: 5 axis: -2 }',
    "transposed": 'type: "InnerProduct" bottom: "x" top: "a" inner_product_param { num_output: 5 transpose: true }',
    "concat": 'type: "Concat" bottom: "x" bottom: "y" top: "a" concat_param { axis: -1 }',
    "slice": 'type: "Slice" bottom: "x" top: "a" top: "b" slice_param { slice_point: 1 }',
    "equal slices": 'type: "Slice" bottom: "x" top: "a" top: "b" slice_param { slice_dim: 1 }',
    "flatten": 'type: "Flatten" bottom: "x" top: "a" flatten_param { axis: 2 }',
    "reshape": 'type: "Reshape" bottom: "x" top: "a" reshape_param { axis: 1 num_axes: 2 shape { dim: 0 dim: -1 } }',
    "scale by, with a bias": 'type: "Scale" bottom: "x" bottom: "y" top: "a" scale_param { axis: 0 bias_term: true }',
    "bias": 'type: "Bias" bottom: "x" top: "a" bias_param { axis: 1 num_axes: 2 }',
    "accuracy by class": 'type: "Accuracy" bottom: "x" bottom: "y" top: "a" top: "b"',
    "loss and softmax": 'type: "SoftmaxWithLoss" bottom: "x" bottom: "y" top: "a" top: "b"',
    "loss of one class an item": 'type: "HingeLoss" bottom: "x" bottom: "label" top: "a"',
    "regression": 'type: "EuclideanLoss" bottom: "x" bottom: "x" top: "a"',
    "scale": 'type: "Scale" bottom: "x" top: "x" scale_param { bias_term: true }',
    "scale of all": 'type: "Scale" bottom: "x" top: "a" scale_param { axis: 2 num_axes: -1 }',
    "scale by": 'type: "Scale" bottom: "x" bottom: "y" top: "a" scale_param { axis: 0 }',
    "eltwise": 'type: "Eltwise" bottom: "x" bottom: "y" top: "a"',
    "loss": 'type: "SoftmaxWithLoss" bottom: "x" bottom: "y" top: "a"',
    "silence": 'type: "Silence" bottom: "x"',
}


def told(net: pb.NetParameter) -> blob_shapes.Sizes:
    graph = build_graph(net, pb.NetState(phase=pb.TRAIN))
    found = {node.name: blob_shapes.given(node.config) for node in graph.nodes if not node.bottoms}
    return blob_shapes.sizes(graph, {name: shapes for name, shapes in found.items() if shapes})


def read(layer: str) -> pb.NetParameter:
    return text.parse(f'{SOURCES} layer {{ name: "l" {layer} }}', pb.NetParameter)


SETTINGS = {"Clip": "clip_param { min: 0 max: 1 }", "ShuffleChannel": "shuffle_channel_param { group: 2 }"}
for kind in sorted(same_shape.TYPES):
    LAYERS[kind] = f'type: "{kind}" bottom: "x" top: "a" {SETTINGS.get(kind, "")}'


@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
def test_sizes_are_those_of_the_layers(layer: str) -> None:
    param = read(layer)
    if "SoftmaxWithLoss" in layer or "Accuracy" in layer:  # y: one label a prediction
        param.layer[1].dummy_data_param.channels[0] = 1
    net, found = Net.from_param(param), told(param)
    assert found.blobs == net.shapes
    declared = {layer.name: [(decl.name, decl.shape) for decl in layer.params] for layer in net.layers if layer.params}
    assert found.params == declared
    assert not found.unknown


def test_behind_a_layer_that_is_not_known_nothing_is_told() -> None:
    param = read('type: "ArgMax" bottom: "x" top: "a" } layer { name: "m" type: "ReLU" bottom: "a" top: "b"')
    found = told(param)
    assert found.unknown == {"ArgMax": "l"}
    assert {value.blob for value in found.blobs} == {"x", "y", "label"}


def test_a_kernel_that_does_not_fit_is_refused() -> None:
    with pytest.raises(LayerError, match="a 20×20 kernel does not fit"):
        told(read('type: "Convolution" bottom: "x" top: "a" convolution_param { num_output: 1 kernel_size: 20 }'))
