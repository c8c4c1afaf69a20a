"""What does not fit is refused without JAX as the layers refuse it."""

import pytest

import engine.layers  # noqa: F401  registers them
from engine.errors import LayerError
from engine.graph import blob_shapes
from engine.graph.build import build_graph
from engine.net.net import Net
from engine.proto import caffe_pb2 as pb
from engine.proto import text

SOURCE = """layer { name: "in" type: "Input" top: "x" top: "y" top: "p" input_param { shape { dim: 2 dim: 6 }
  shape { dim: 3 } shape { dim: 1 dim: 2 dim: 8 } } }"""
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
    'type: "InnerProduct" bottom: "x" bottom: "y" top: "a" inner_product_param { num_output: 2 }': (
        "it has 2 bottoms and takes 1"
    ),
    'type: "SoftmaxWithLoss" bottom: "x" top: "a"': "it has 1 bottoms and takes 2",
    'type: "ReLU" bottom: "x"': "it has 0 tops and takes 1",
    'type: "Concat" bottom: "x" top: "a" top: "b"': "it has 2 tops and takes 1",
    'type: "Convolution" bottom: "x" top: "a" top: "b" convolution_param { num_output: 1 }': "makes 1 tops and 2 are",
    'type: "InnerProduct" bottom: "x" top: "a" inner_product_param { num_output: 2 axis: 2 }': "axis 2 is not one of",
    'type: "InnerProduct" bottom: "x" top: "a" inner_product_param { num_output: 2 } param {} param {} param {}': (
        "it has 2 parameters and 3 param blocks"
    ),
    'type: "ReLU" bottom: "x" top: "a" param { lr_mult: 1 }': "it has 0 parameters and 1 param blocks",
    'type: "Flatten" bottom: "x" top: "a" flatten_param { axis: 2 }': "axis 2 is not one of",
    'type: "Flatten" bottom: "x" top: "x"': "it cannot be computed in place",
    'type: "AbsVal" bottom: "x" top: "x"': 'it cannot be computed in place: give its top another name than "x"',
    'type: "Split" bottom: "x" top: "x" top: "a"': "it cannot be computed in place",
    'type: "Reshape" bottom: "x" top: "a" reshape_param { shape { dim: 5 } }': r"do not fit \[5\], which has 5",
    'type: "Reshape" bottom: "x" top: "a" reshape_param { shape { dim: 5 dim: -1 } }': "no multiple of 5, so −1 has no",
    'type: "Reshape" bottom: "x" top: "a" reshape_param { axis: 3 shape { dim: 1 } }': "axis 3 is not one of",
    'type: "Reshape" bottom: "x" top: "a" reshape_param { shape { dim: -1 dim: -1 } }': "except one that may be −1",
    'type: "Softmax" bottom: "x" top: "a" softmax_param { axis: 4 }': "axis 4 is not one of",
    'type: "Dropout" bottom: "x" top: "a" dropout_param { dropout_ratio: 1 sample_weights_test: true }': (
        "dropout_ratio 1 is not a probability"
    ),
    'type: "SpatialDropout" bottom: "y" top: "a"': "2 axes or more are needed",
    'type: "LRN" bottom: "x" top: "a"': "LRN takes 4 axes",
    'type: "BatchNorm" bottom: "x" top: "a" param { lr_mult: 1 }': "param 0 has lr_mult 1, but it is a running average",
    'type: "PReLU" bottom: "y" top: "a"': "2 axes or more are needed",
    'type: "ShuffleChannel" bottom: "x" top: "a" shuffle_channel_param { group: 4 }': "6 channels .* group: 4",
    'type: "Pooling" bottom: "x" top: "a" top: "b" pooling_param { pool: AVE kernel_size: 1 }': "only pool: MAX",
    'type: "Accuracy" bottom: "x" bottom: "x" top: "a"': "has 12 labels and .* 2 predictions of 6 classes along axis 1",
    'type: "Accuracy" bottom: "x" bottom: "x" top: "a" accuracy_param { axis: 7 }': "axis 7 is not one of",
    'type: "SoftmaxWithLoss" bottom: "x" bottom: "y" top: "a"': "both need the same first dimension",
    'type: "HingeLoss" bottom: "x" bottom: "x" top: "a"': "has 12 labels and",
    'type: "EuclideanLoss" bottom: "x" bottom: "y" top: "a"': "both need the same first dimension",
    'type: "Scale" bottom: "x" bottom: "y" top: "a"': r"a scale of shape \[3\] does not fit .* from axis 1 on",
    'type: "Bias" bottom: "x" top: "a" bias_param { num_axes: 3 }': "num_axes 3 from axis 1 on is more than",
    'type: "ArgMax" bottom: "x" top: "a" argmax_param { top_k: 9 }': "top_k 9 is not 1 to 6",
    'type: "Tile" bottom: "x" top: "a"': "tiles is not given; 1 or more",
    'type: "Crop" bottom: "x" bottom: "y" top: "a" crop_param { axis: 1 }': "has fewer axes than",
    'type: "Crop" bottom: "x" bottom: "x" top: "a" crop_param { axis: 1 offset: 1 }': "from offset 1 on goes beyond",
    'type: "Permute" bottom: "x" top: "a" permute_param { order: 2 }': "order 2 is not an axis",
    'type: "Permute" bottom: "x" bottom: "y" top: "a"': "it has 2 bottoms and takes 1",
    'type: "Transpose" bottom: "x" top: "a" transpose_param { dim: 1 }': "names 1 dim for a bottom",
    'type: "Squeeze" bottom: "x" top: "a" squeeze_param { axis: 1 }': "is not of length 1",
    'type: "Reduction" bottom: "x" top: "a" reduction_param { axis: 3 }': "axis 3 is not one of",
    'type: "ChannelNorm" bottom: "y" top: "a"': "2 axes or more are needed",
    'type: "Embed" bottom: "y" top: "a" embed_param { num_output: 2 }': "needs input_dim and num_output",
    'type: "Embed" bottom: "y" top: "a" embed_param { num_output: 2 input_dim: 2 weight_filler { type: "he" } }': (
        'unknown filler type "he"'
    ),
    'type: "BatchReindex" bottom: "x" bottom: "x" top: "a"': "a list of row numbers",
    'type: "LSTM" bottom: "x" bottom: "y" top: "a" recurrent_param { num_output: 2 }': "one marker for each step",
    'type: "LSTM" bottom: "x" bottom: "x" top: "a"': "recurrent_param needs num_output",
    'type: "RNN" bottom: "x" bottom: "x" top: "a" top: "b" recurrent_param { num_output: 2 }': "it takes x, cont",
    'type: "LSTMUnit" bottom: "x" bottom: "x" bottom: "y" top: "a" top: "b"': "must be of shapes",
    'type: "PriorBox" bottom: "x" top: "a"': "4 axes are needed",
    'type: "Interp" bottom: "x" top: "a"': "4 axes are needed",
    'type: "Upsample" bottom: "x" top: "a"': "4 axes are needed",
    'type: "Upsample" bottom: "x" bottom: "y" top: "a"': "4 axes are needed",
    'type: "Reorg" bottom: "x" top: "a" reorg_param { stride: 2 }': "C a multiple of 4",
    'type: "ROIPooling" bottom: "x" bottom: "y" top: "a"': "4 axes are needed",
    'type: "PSROIPooling" bottom: "x" bottom: "y" top: "a"': "needs spatial_scale",
    'type: "Axpy" bottom: "x" bottom: "x" bottom: "y" top: "a"': r'"y" \[3\]; they must be the same',
    'type: "Axpy" bottom: "x" bottom: "y" top: "a"': "it has 2 bottoms and takes 3",
    'type: "BN" bottom: "y" top: "a"': "2 axes or more are needed",
    'type: "BN" bottom: "x" top: "a" top: "b" top: "c" bn_param { bn_mode: INFERENCE }': "no mean and variance to give",
    'type: "BatchNorm" bottom: "y" top: "a" batch_norm_param { scale_bias: true }': "2 axes or more are needed",
    'type: "Normalize" bottom: "y" top: "a"': "2 axes or more are needed",
    'type: "Normalize" bottom: "x" top: "a" normalize_param { normalize_type: "L3" }': 'is "L3"; it must be "L1"',
    'type: "DetectionOutput" bottom: "x" bottom: "x" bottom: "p" top: "a" detection_output_param { num_classes: 3 }': (
        r'bottom "x" has shape \[2, 6\]; 2 priors of 3 classes need \[2, 8\] offsets'
    ),
    'type: "DetectionOutput" bottom: "x" bottom: "x" bottom: "p" top: "a"': "needs num_classes of 1 or more",
    'type: "MultiBoxLoss" bottom: "x" bottom: "x" bottom: "x" bottom: "x" top: "a" multibox_loss_param '
    "{ num_classes: 2 }": r"priors are \(1, 2, 4 times their number\)",
    'type: "Flip" bottom: "x" top: "a"': "4 axes are needed",
    'type: "Reverse" bottom: "x" top: "a" reverse_param { axis: 5 }': "axis 5 is not one of",
    'type: "Eltwise" bottom: "x" bottom: "x" top: "a" eltwise_param { coeff: 1 }': "1 coeff for 2 bottoms",
    'type: "ReLU" bottom: "x" top: "a" loss_weight: [1, 2]': "2 loss_weight for 1 tops",
}


@pytest.mark.parametrize(("layer", "said"), REFUSED.items())
def test_what_does_not_fit_is_refused_in_the_layers_words(layer: str, said: str) -> None:
    net = text.parse(f'{SOURCE} layer {{ name: "l" {layer} }}', pb.NetParameter)
    graph = build_graph(net, pb.NetState())
    with pytest.raises(LayerError, match=f'^layer "l" .*{said}') as told:
        blob_shapes.sizes(graph, {0: [(2, 6), (3,), (1, 2, 8)]})
    with pytest.raises(LayerError) as refused:
        Net.from_param(net)
    assert str(told.value) == str(refused.value)


SHARED = """
layer { name: "l" type: "InnerProduct" bottom: "x" top: "a" inner_product_param { num_output: 5 } param { name: "w" } }
layer { name: "m" type: "InnerProduct" bottom: "x" top: "b" inner_product_param { num_output: 4 }
        param { name: "w" %s } }
"""


@pytest.mark.parametrize(
    ("mode", "said"), [("", r"shape \[5, 6\]\.$"), ("share_mode: PERMISSIVE", "the counts must be")]
)
def test_a_shared_parameter_of_another_shape_is_refused_in_the_net_s_words(mode: str, said: str) -> None:
    net = text.parse(SOURCE + SHARED % mode, pb.NetParameter)
    with pytest.raises(
        LayerError, match=r'^layer "m" .*weight of shape \[4, 6\] shares "w" with layer "l".*' + said
    ) as told:
        blob_shapes.sizes(build_graph(net, pb.NetState()), {0: [(2, 6), (3,), (1, 2, 8)]})
    with pytest.raises(LayerError) as refused:
        Net.from_param(net)
    assert str(told.value) == str(refused.value)
