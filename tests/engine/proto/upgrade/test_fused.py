import caffe
import numpy as np
import pytest

from engine.errors import PrototxtError
from engine.proto import binary, text, upgrade
from engine.proto import caffe_pb2 as pb


def upgraded(written):
    net = text.parse(written, pb.NetParameter)
    assert not upgrade.upgrade_net(net)
    return net


CONV = 'layer {{ name: "c" type: "Convolution" bottom: "x" {} convolution_param {{ num_output: 2 {} }} }}'.format


@pytest.mark.parametrize(
    ("fused", "want"),
    [
        (
            CONV('top: "y"', "fuse_type: FUSED_CONV_RELU relu_param { negative_slope: 0.1 }"),
            CONV('top: "c/convolution"', "")
            + """layer { name: "c/relu" type: "ReLU" bottom: "c/convolution" top: "y"
            relu_param { negative_slope: 0.1 } }""",
        ),
        (
            CONV('bottom: "e" top: "y"', "fuse_type: FUSED_CONV_ELTWISE_PRELU prelu_param { channel_shared: true }"),
            CONV('top: "c/convolution"', "")
            + """layer { name: "c/eltwise" type: "Eltwise" bottom: "c/convolution" bottom: "e" top: "c/eltwise" }
            layer { name: "c/prelu" type: "PReLU" bottom: "c/eltwise" top: "y"
            prelu_param { channel_shared: true } }""",
        ),
        (
            """layer { name: "n" type: "LRN" bottom: "x" top: "y" lrn_param { local_size: 3 fuse_type: FUSED_POOL_MAX
            pooling_param { kernel_size: 3 stride: 2 } } include { phase: TEST } }""",
            """layer { name: "n" type: "LRN" bottom: "x" top: "n/lrn" lrn_param { local_size: 3 }
            include { phase: TEST } }
            layer { name: "n/pooling" type: "Pooling" bottom: "n/lrn" top: "y"
            pooling_param { kernel_size: 3 stride: 2 } include { phase: TEST } }""",
        ),
        (CONV('top: "y"', "fuse_type: UNFUSED"), CONV('top: "y"', "fuse_type: UNFUSED")),
    ],
)
def test_what_a_layer_has_taken_in_is_written_out(fused, want):
    assert upgraded(fused) == text.parse(want, pb.NetParameter)


@pytest.mark.parametrize("tops", [0, 2])
def test_a_fused_layer_has_one_top(tops):
    with pytest.raises(PrototxtError, match=f'layer "c" has a fuse_type and {tops} tops; a fused layer has one'):
        upgraded(CONV('bottom: "x"' + 'top: "y"' * tops, "fuse_type: FUSED_CONV_RELU"))


def test_a_fused_net_computes_with_its_model_what_it_says(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, 1, 4, 4)).astype(np.float32)
    weights, bias, slope = rng.standard_normal((2, 1, 1, 1)), np.array([0.5, -1]), np.array([0.25, 2])
    e = rng.standard_normal((1, 2, 4, 4)).astype(np.float32)
    written = """layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 1 dim: 4 dim: 4 } } }
    layer { name: "e" type: "Input" top: "e" input_param { shape { dim: 1 dim: 2 dim: 4 dim: 4 } } } """ + CONV(
        'bottom: "e" top: "y"', "kernel_size: 1 fuse_type: FUSED_CONV_ELTWISE_PRELU"
    )
    (tmp_path / "net.prototxt").write_text(written)
    model = text.parse(written, pb.NetParameter)
    for values in (weights, bias, slope):
        model.layer[2].blobs.add(data=values.ravel()).shape.dim.extend(values.shape)
    binary.write(tmp_path / "fused.caffemodel", model)
    net = caffe.Net(str(tmp_path / "net.prototxt"), str(tmp_path / "fused.caffemodel"), caffe.TEST)
    got = net.forward(x=x, e=e)["y"]
    summed = x * weights[None, :, 0] + bias[None, :, None, None] + e
    np.testing.assert_allclose(got, np.where(summed > 0, summed, slope[:, None, None] * summed), rtol=1e-5)
