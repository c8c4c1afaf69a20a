import pytest

from engine.proto import caffe_pb2 as pb
from engine.proto import text, upgrade


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("hole: 2", "dilation: 2"),
        ("hole_h: 2 hole_w: 3", "dilation: 2 dilation: 3"),
        ("hole_h: 2", "dilation: 2 dilation: 1"),
        ("dilation: 3 hole: 2", "dilation: 3 hole: 2"),
        ("pad: 1", "pad: 1"),
    ],
)
def test_a_hole_is_a_dilation(old, new):
    made, wanted = (text.parse(f"layer {{ convolution_param {{ {each} }} }}", pb.NetParameter) for each in (old, new))
    upgrade.upgrade_net(made)
    assert made == wanted


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("pad_t: 1 pad_b: 1 pad_l: 2 pad_r: 2", "pad_h: 1 pad_w: 2"),
        ("pad_t: 0 pad_b: 0 pad_l: 0 pad_r: 0", ""),
        ("pad_b: 1 pad_r: 1", "pad_b: 1 pad_r: 1"),
    ],
)
def test_pads_that_are_alike_on_both_sides_are_those_of_caffe(old, new):
    for block in ("convolution_param", "pooling_param"):
        made, wanted = (text.parse(f"layer {{ {block} {{ {each} }} }}", pb.NetParameter) for each in (old, new))
        upgrade.upgrade_net(made)
        assert made == wanted


@pytest.mark.parametrize(
    ("old", "new"),
    [("AVE_TF", "AVE"), ("AVE_EXC_PAD pad: 1", "AVE_EXC_PAD pad: 1"), ("AVE_TF pad: 1", "AVE_EXC_PAD pad: 1")],
)
def test_an_average_within_the_image_is_one_of_caffe_without_a_pad(old, new):
    made, wanted = (text.parse(f"layer {{ pooling_param {{ pool: {each} }} }}", pb.NetParameter) for each in (old, new))
    upgrade.upgrade_net(made)
    assert made == wanted


def test_a_relu_up_to_6_is_a_relu6():
    net = text.parse('layer { type: "ReLU" relu_param { relu6: true negative_slope: 0.5 } }', pb.NetParameter)
    upgrade.upgrade_net(net)
    assert net == text.parse('layer { type: "ReLU6" relu6_param { negative_slope: 0.5 } }', pb.NetParameter)


def test_layers_of_c3d_have_blocks_of_their_own_today():
    old = """
    layers { type: CONVOLUTION3D convolution_param { num_output: 2 kernel_size: 3 kernel_depth: 2 pad: 1
        temporal_pad: 1 weight_filler { std: 0.5 } bias_term: false } }
    layers { type: POOLING3D pooling_param { pool: AVE kernel_size: 2 kernel_depth: 1 stride: 2 temporal_stride: 3 } }
    """
    net = text.parse(old, pb.NetParameter)
    upgrade.upgrade_net(net)
    convolution, pooling = net.layer
    assert convolution.convolution3d_param == pb.Convolution3DParameter(
        num_output=2, kernel_size=3, kernel_depth=2, pad=1, temporal_pad=1, weight_filler={"std": 0.5}, bias_term=False
    )
    assert pooling.pooling3d_param == pb.Pooling3DParameter(
        pool="AVE", kernel_size=2, kernel_depth=1, stride=2, temporal_stride=3
    )
    assert convolution.convolution_param == pb.ConvolutionParameter(bias_term=False)  # read there by Deconvolution3D
    assert pooling.pooling_param == pb.PoolingParameter()


def test_engines_of_intel_are_without_effect_and_said():
    net = text.parse(
        """engine: "MKLDNN" bn_stats_batch_size: 32
        layer { engine: "MKL2017" type: "ReLU" relu_param { engine: MKL2017 negative_slope: 0.5 } }
        layer { type: "Convolution" convolution_param { engine: CAFFE } }
        layer { type: "BatchNorm" batch_norm_param { filler { value: 1 } bias_filler { value: 0 } eps: 0.5 } }""",
        pb.NetParameter,
    )
    (notice,) = upgrade.upgrade_net(net)
    assert notice == "engine MKLDNN, MKL2017 is one of Intel's Caffe, and has no effect"
    assert net == text.parse(
        """layer { type: "ReLU" relu_param { negative_slope: 0.5 } }
        layer { type: "Convolution" convolution_param { engine: CAFFE } }
        layer { type: "BatchNorm" batch_norm_param { eps: 0.5 stats_batch_size: 32 } }""",
        pb.NetParameter,
    )


def test_the_engine_of_a_solver_is_said_too():
    solver = pb.SolverParameter(engine="MKL2017")
    assert upgrade.upgrade_solver(solver) == ['engine "MKL2017" is one of Intel\'s Caffe, and has no effect']
    assert solver == pb.SolverParameter()


def test_layers_in_integers_are_computed_in_floats():
    net = text.parse('layer { name: "c" quantization_param { bw_params: 8 } }', pb.NetParameter)
    assert upgrade.upgrade_net(net) == [
        "quantization_param, first in layer c, has no effect: all is computed in float32"
    ]
    assert net == text.parse('layer { name: "c" }', pb.NetParameter)
