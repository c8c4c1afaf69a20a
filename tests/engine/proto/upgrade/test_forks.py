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
