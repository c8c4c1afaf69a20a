"""What is told of sizes without JAX is what the layers say."""

import pytest

import engine.layers  # noqa: F401  registers them
from engine.errors import LayerError
from engine.graph import blob_shapes, same_shape, source_shapes
from engine.graph.build import build_graph
from engine.net.net import Net
from engine.proto import caffe_pb2 as pb
from engine.proto import text

SOURCES = """
layer { name: "in" type: "Input" top: "x" top: "label" input_param { shape { dim: 2 dim: 4 dim: 9 dim: 11 }
  shape { dim: 2 } } }
layer { name: "more" type: "Input" top: "small" top: "rois" top: "flags" top: "x2" top: "h" top: "gates" top: "now"
  top: "h2" top: "scores" top: "priors" top: "boxes" input_param {
  shape { dim: 2 dim: 1 dim: 6 dim: 5 } shape { dim: 7 dim: 5 } shape { dim: 2 dim: 4 } shape { dim: 4 dim: 6 }
  shape { dim: 1 dim: 4 dim: 3 } shape { dim: 1 dim: 4 dim: 12 } shape { dim: 1 dim: 4 }
  shape { dim: 2 dim: 4 } shape { dim: 2 dim: 297 } shape { dim: 1 dim: 2 dim: 396 }
  shape { dim: 1 dim: 1 dim: 8 dim: 8 } } }
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
    "MVN": 'type: "MVN" bottom: "y" top: "a"',
    "MVN of two axes": 'type: "MVN" bottom: "scores" top: "a"',
    "flatten to a new axis": 'type: "Flatten" bottom: "x" top: "a" flatten_param { axis: 2 end_axis: 1 }',
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
    "argmax": 'type: "ArgMax" bottom: "x" top: "a" argmax_param { top_k: 3 out_max_val: true }',
    "argmax along an axis": 'type: "ArgMax" bottom: "x" top: "a" argmax_param { axis: 1 }',
    "tile": 'type: "Tile" bottom: "x" top: "a" tile_param { axis: 2 tiles: 3 }',
    "crop": 'type: "Crop" bottom: "x" bottom: "small" top: "a" crop_param { axis: 2 offset: 1 offset: 3 }',
    "permute": 'type: "Permute" bottom: "x" top: "a" permute_param { order: 0 order: 2 order: 3 }',
    "transpose": 'type: "Transpose" bottom: "small" top: "a" transpose_param { dim: 1 dim: 0 dim: 3 dim: 2 }',
    "squeeze": 'type: "Squeeze" bottom: "small" top: "a"',
    "reduction": 'type: "Reduction" bottom: "x" top: "a" reduction_param { axis: 2 }',
    "channel norm": 'type: "ChannelNorm" bottom: "x" top: "a"',
    "embed": 'type: "Embed" bottom: "label" top: "a" embed_param { input_dim: 7 num_output: 5 }',
    "batch reindex": 'type: "BatchReindex" bottom: "x" bottom: "label" top: "a"',
    "LSTM": 'type: "LSTM" bottom: "x" bottom: "flags" top: "a" recurrent_param { num_output: 3 }',
    "RNN": """type: "RNN" bottom: "x" bottom: "flags" bottom: "x2" bottom: "h" top: "a" top: "b"
      recurrent_param { num_output: 3 expose_hidden: true }""",
    "LSTM unit": 'type: "LSTMUnit" bottom: "h" bottom: "gates" bottom: "now" top: "a" top: "b"',
    "prior boxes": """type: "PriorBox" bottom: "x" bottom: "y" top: "a"
      prior_box_param { min_size: 3 max_size: 5 aspect_ratio: 2 aspect_ratio: 3 flip: true }""",
    "clustered boxes": """type: "PriorBoxClustered" bottom: "x" top: "a"
      prior_box_param { img_size: 30 width: 3 width: 4 height: 3 height: 4 }""",
    "interp": 'type: "Interp" bottom: "x" top: "a" interp_param { zoom_factor: 2 pad_beg: -1 }',
    "upsample": 'type: "Upsample" bottom: "x" top: "a" upsample_param { scale: 2 }',
    "upsample with a mask": """type: "Upsample" bottom: "x" bottom: "y" top: "a"
      upsample_param { scale: 2 pad_out_h: 1 }""",
    "reorg": 'type: "Reorg" bottom: "x" top: "a" reorg_param { stride: 2 reverse: true }',
    "ROI pooling": """type: "ROIPooling" bottom: "x" bottom: "rois" top: "a"
      roi_pooling_param { pooled_h: 3 pooled_w: 2 spatial_scale: 0.5 }""",
    "ROI align": """type: "ROIAlign" bottom: "x" bottom: "rois" top: "a"
      roi_pooling_param { pooled_h: 3 pooled_w: 2 spatial_scale: 0.5 }""",
    "PSROI pooling": """type: "PSROIPooling" bottom: "x" bottom: "rois" top: "a"
      psroi_pooling_param { output_dim: 1 group_size: 2 spatial_scale: 0.5 }""",
    "axpy": 'type: "Axpy" bottom: "h2" bottom: "x" bottom: "y" top: "a"',
    "detections": """type: "DetectionOutput" bottom: "x" bottom: "scores" bottom: "priors" top: "a"
      detection_output_param { num_classes: 3 }""",
    "boxes to be learned": """type: "MultiBoxLoss" bottom: "x" bottom: "scores" bottom: "priors" bottom: "boxes"
      top: "a" multibox_loss_param { num_classes: 3 }""",
    "BN of PSPNet": 'type: "BN" bottom: "x" top: "a"',
    "BN of SegNet": 'type: "BN" bottom: "x" top: "a" top: "b" top: "c"',
    "BatchNorm of NVIDIA": 'type: "BatchNorm" bottom: "x" top: "a" batch_norm_param { scale_bias: true }',
    "normalize": 'type: "Normalize" bottom: "x" top: "a" norm_param { channel_shared: false }',
    "normalize of faces": 'type: "Normalize" bottom: "x" top: "a" top: "b"',
    "mean field": """type: "MultiStageMeanfield" bottom: "x" bottom: "y" bottom: "y" top: "a"
      multi_stage_meanfield_param { theta_alpha: 9 theta_beta: 3 theta_gamma: 3 num_iterations: 2
        spatial_filter_weights_str: "1 1 1 1" bilateral_filter_weights_str: "1 1 1 1" }""",
    "dense CRF": 'type: "DenseCRF" bottom: "x" bottom: "y" top: "a" dense_crf_param { pos_w: 1 pos_xy_std: 3 }',
    "silence": 'type: "Silence" bottom: "x"',
}


def told(net: pb.NetParameter) -> blob_shapes.Sizes:
    graph = build_graph(net, pb.NetState(phase=pb.TRAIN))
    found = {i: source_shapes.given(node) for i, node in enumerate(graph.nodes) if not node.bottoms}
    return blob_shapes.sizes(graph, {i: shapes for i, shapes in found.items() if shapes})


def read(layer: str) -> pb.NetParameter:
    return text.parse(f'{SOURCES} layer {{ name: "l" {layer} }}', pb.NetParameter)


SETTINGS = {"Clip": "clip_param { min: 0 max: 1 }", "ShuffleChannel": "shuffle_channel_param { group: 2 }"}
for kind in sorted(same_shape.TYPES):
    LAYERS[kind] = f'type: "{kind}" bottom: "x" top: "a" {SETTINGS.get(kind, "")}'


@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
def test_sizes_are_those_of_the_layers(layer: str) -> None:
    param = read(layer)
    if "SoftmaxWithLoss" in layer or "Accuracy" in layer:  # y: one label a prediction
        param.layer[-2].dummy_data_param.channels[0] = 1
    net, found = Net.from_param(param), told(param)
    assert found.blobs == net.shapes
    declared = {layer.name: [(decl.name, decl.shape) for decl in layer.params] for layer in net.layers if layer.params}
    assert found.params == declared
    assert not found.unknown


def test_layers_without_names_are_told_apart() -> None:
    layers = [
        'type: "Input" top: "x" input_param { shape { dim: 2 dim: 4 } }',
        'type: "Input" top: "y" input_param { shape { dim: 2 dim: 3 } }',
        'type: "InnerProduct" bottom: "x" top: "a" inner_product_param { num_output: 3 }',
        'type: "EuclideanLoss" bottom: "a" bottom: "y" top: "loss"',
    ]
    net = text.parse("".join(f"layer {{ {layer} }}\n" for layer in layers), pb.NetParameter)
    assert told(net).blobs == Net.from_param(net).shapes


def test_behind_a_layer_that_is_not_known_nothing_is_told() -> None:
    spp = 'type: "SPP" bottom: "x" top: "a" spp_param { pyramid_height: 2 }'
    param = read(spp + '} layer { name: "m" type: "ReLU" bottom: "a" top: "b"')
    found = told(param)
    assert found.unknown == {"SPP": "l"}
    assert not {value.blob for value in found.blobs} & {"a", "b"}


def test_a_kernel_that_does_not_fit_is_refused() -> None:
    with pytest.raises(LayerError, match="a 20×20 kernel does not fit"):
        told(read('type: "Convolution" bottom: "x" top: "a" convolution_param { num_output: 1 kernel_size: 20 }'))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("dummy_data_param { num: 2 channels: 3 height: 4 height: 5 width: 6 }", [(2, 3, 4, 6), (2, 3, 5, 6)]),
        ("dummy_data_param { shape { dim: 2 } }", [(2,), (2,)]),
        ("dummy_data_param { shape { dim: 2 } num: 2 }", "give one of them"),
        ("dummy_data_param { num: 2 channels: 3 height: 4 }", "0 width for 2 tops"),
        ("dummy_data_param { shape { } shape { } shape { } }", "3 shape for 2 tops"),
    ],
)
def test_the_shapes_of_dummy_data_are_those_of_the_layer(settings, said):
    net = text.parse(f'layer {{ name: "l" type: "DummyData" top: "a" top: "b" {settings} }}', pb.NetParameter)
    (node,) = build_graph(net, pb.NetState()).nodes
    if isinstance(said, list):
        assert source_shapes.given(node) == said == list(Net.from_param(net).blob_shapes.values())
        return
    for tell in (source_shapes.given, lambda _: Net.from_param(net)):
        with pytest.raises(LayerError, match=said):
            tell(node)


def test_of_a_fork_s_layer_without_bottoms_nothing_is_told() -> None:
    found = told(read('type: "DepthwiseConvolution" top: "a" convolution_param { kernel_size: 3 }'))
    assert "a" not in {value.blob for value in found.blobs}
