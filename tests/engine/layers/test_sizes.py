"""What no blob can have and no memory hold is told, with the bytes, before anything is made."""

import jax
import numpy as np
import pytest
from support.layer_cases import check_refused, net_of

X = {"x": (1, 2, 6, 6)}
CONV = 'type: "Convolution" convolution_param {{ num_output: 2 {} }}'.format
DECONV = 'type: "Deconvolution" convolution_param {{ num_output: 2 {} }}'.format
LRN = 'type: "LRN" lrn_param {{ {} }}'.format
POOL = 'type: "Pooling" pooling_param {{ {} }}'.format


@pytest.mark.parametrize(
    ("layer", "says"),
    [
        (CONV("kernel_size: 1 pad: 2000000000"), r"its top \"y0\"|padded, of shape .* would take [\d,]{20,} bytes"),
        (CONV("kernel_size: 1 pad: 2000000000 stride: 2000000000"), r"\"x\", padded, of shape .* would take .* bytes"),
        (CONV("kernel_size: 4294967295"), r"weight.* would take [\d,]{20,} bytes; a blob holds 2,147"),
        (CONV("kernel_size: 50000 pad: 50000"), r"weight.* would take 40,000,000,000 bytes"),
        (CONV("kernel_size: 3 dilation: 4294967295"), "does not fit"),
        (CONV("kernel_size: 3").replace("num_output: 2", "num_output: 2147483648"), r"weight.* would take .* bytes"),
        (DECONV("kernel_size: 1 stride: 4294967295"), r"would take .* bytes"),
        (DECONV("kernel_size: 40000 pad: 20000"), r"would take .* bytes"),
        ('type: "InnerProduct" inner_product_param { num_output: 2147483648 }', r"weight.* would take .* bytes"),
        ('type: "Embed" embed_param { num_output: 65536 input_dim: 65536 }', r"would take 17,179,869,184 bytes"),
        (POOL("kernel_size: 2000000001 pad: 2000000000"), r"padded, of shape .* would take .* bytes"),
        ('type: "Tile" tile_param { tiles: 2147483647 }', r"top \"y0\".* would take .* bytes"),
        ('type: "SPP" spp_param { pyramid_height: 4294967295 }', "Give pyramid_height"),
        ('type: "Im2col" convolution_param { kernel_size: 4294967295 pad: 4294967295 }', r"would take .* bytes"),
        ('type: "Parameter" parameter_param { shape { dim: -1 } }', "is negative"),
        ('type: "Interp" interp_param { height: 2147483647 width: 2 }', r"top .* would take .* bytes"),
        ('type: "Resample" resample_param { height: 2147483647 width: 2 }', r"top .* would take .* bytes"),
        ('type: "Downsample" downsample_param { top_height: 4294967295 top_width: 2 }', r"top .* would take .* bytes"),
        ('type: "Unpooling" unpooling_param { kernel_size: 2 stride: 2147483648 }', r"top .* would take .* bytes"),
        ('type: "ResizeNearestNeighbor" resize_nearest_neighbor_param { output_height: 2147483647 }', "would take"),
        ('type: "ResizeNearestNeighbor" resize_nearest_neighbor_param { scale_height: inf }', "that is too large"),
        ('type: "Im2col" convolution_param { kernel_size: 2147483647 pad: 2147483647 }', "would take"),
    ],
)
def test_a_layer_that_would_be_too_large_is_refused(layer, says):
    check_refused(layer, {} if "Parameter" in layer else X, says)


def test_weights_that_would_be_too_large_are_refused():
    line = {"x": (1, 1, 200_000, 1)}
    check_refused('type: "Resample" resample_param { height: 100000 width: 1 }', line, r"weights of its rows .* bytes")


@pytest.mark.parametrize("layer", ['type: "Interp" interp_param {', 'type: "Resize" resize_param {'])
def test_weights_for_a_batch_of_nothing_are_refused_too(layer):
    layer += " height: 2147483647 width: 5 }"
    check_refused(layer, {"x": (0, 1, 9, 5)}, r"weights of its rows or columns of shape .* would take .* bytes")


def test_boxes_that_would_be_too_many_are_refused():
    layer = 'type: "PriorBox" prior_box_param { min_size: 4 img_size: 9 }'
    check_refused(layer, {"x": (1, 1, 30_000, 30_000)}, r"top .* would take 28,800,000,000 bytes")


def test_displacements_that_would_be_too_many_are_refused():
    layer = 'type: "Correlation" correlation_param { kernel_size: 1 max_displacement: 4000000 pad: 4000000 }'
    check_refused(layer, {"a": (1, 2, 6, 6), "b": (1, 2, 6, 6)}, r"top .* would take .* bytes")


@pytest.mark.parametrize("dims", [[-1, 2], [65536, 65536], [2**40, 2**40], [2**62, 4, 0, 2**62]])
@pytest.mark.parametrize("kind", ["Input", "DummyData"])
def test_a_shape_that_cannot_be_is_refused(kind, dims):
    field = {"Input": "input_param", "DummyData": "dummy_data_param"}[kind]
    shape = " ".join(f"dim: {d}" for d in dims)
    if 0 in dims:
        assert net_of(f'type: "{kind}" {field} {{ shape {{ {shape} }} }}', {}).blob_shapes["y0"] == tuple(dims)
    else:
        check_refused(f'type: "{kind}" {field} {{ shape {{ {shape} }} }}', {}, "negative|would take [\\d,]+ bytes")


@pytest.mark.parametrize(
    ("layer", "bottoms"),
    [
        ('type: "ArgMax"', {"x": (0, 5)}),
        ('type: "ContrastiveLoss"', {"a": (0, 3), "b": (0, 3), "y": (0,)}),
        ('type: "Im2col" convolution_param { kernel_size: 2 }', {"x": (0, 3, 4, 4)}),
        ('type: "LSTM" recurrent_param { num_output: 2 }', {"x": (0, 2, 3), "cont": (0, 2)}),
        ('type: "LSTM" recurrent_param { num_output: 2 }', {"x": (4, 0, 3), "cont": (4, 0), "s": (0, 2)}),
        ('type: "SPP" spp_param { pyramid_height: 2 }', {"x": (0, 3, 4, 4)}),
        (POOL("kernel_size: 2 pool: STOCHASTIC"), {"x": (0, 3, 4, 4)}),
        ('type: "ROIPooling" roi_pooling_param { pooled_h: 2 pooled_w: 2 }', {"x": (1, 3, 4, 4), "rois": (0, 5)}),
        ('type: "AdaptiveBiasChannel"', {"x": (0, 3, 2, 2), "labels": (0, 1, 1, 1)}),
        ('type: "TripletLoss"', {"a": (0, 3), "p": (0, 3), "n": (0, 3)}),
        ('type: "Unpooling" unpooling_param { kernel_size: 2 stride: 2 }', {"x": (1, 0, 2, 2), "mask": (1, 0, 2, 2)}),
        ('type: "Parameter" parameter_param { shape { dim: 0 } }', {}),
        ('type: "Tile" tile_param { axis: 0 tiles: 100000 }', {"x": (0, 3)}),
    ],
)
def test_nothing_is_computed_of_nothing(layer, bottoms):
    net = net_of(layer, bottoms)

    def run(params, inputs):
        return net.forward(params, inputs, jax.random.key(1)).outputs["y0"]

    inputs = {name: np.zeros(shape, np.float32) for name, shape in bottoms.items()}
    assert jax.eval_shape(run, net.init(1), inputs).shape == net.blob_shapes["y0"]


@pytest.mark.parametrize(
    ("layer", "like"),
    [
        (POOL("kernel_size: 2147483647 stride: 2147483647"), POOL("global_pooling: true")),
        (POOL("pool: AVE kernel_size: 4000 stride: 4000"), POOL("pool: AVE global_pooling: true")),
        (LRN("local_size: 2147483647 alpha: 1e9"), LRN("local_size: 3 alpha: 1.397")),
    ],
)
def test_a_window_that_is_larger_than_the_plane_costs_no_more_than_the_plane(layer, like):
    x = np.random.default_rng(0).normal(size=X["x"]).astype(np.float32)
    value, want = (jax.jit(net_of(each, X).forward)([], {"x": x}).outputs["y0"] for each in (layer, like))
    np.testing.assert_allclose(value, want, rtol=1e-3)
