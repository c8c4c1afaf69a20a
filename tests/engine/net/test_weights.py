"""Models: out of a net and back, by name, and what does not fit."""

import numpy as np
import pytest
from support.small_nets import INPUT, SMALL, ip, made

from engine.errors import SnapshotError
from engine.net import weights


def test_a_model_goes_out_and_comes_back():
    net = made(SMALL)
    params = net.init(0)
    model = weights.to_model(net, params, [p + 1 for p in params])
    back = weights.load_model(net, net.init(1), model)
    assert all((a == b).all() for a, b in zip(back, params, strict=True))
    (layer,) = [layer for layer in model.layer if layer.name == "a"]
    np.testing.assert_allclose(layer.blobs[1].diff, params[1] + 1)


def test_a_model_says_what_caffes_layers_write_down_of_themselves():
    net = made(
        """
        layer { name: "in" type: "Input" top: "x" top: "t" input_param { shape { dim: 2 dim: 3 } } }
        layer { name: "bn" type: "BatchNorm" bottom: "x" top: "y" param { lr_mult: 0 } }
        layer { name: "loss" type: "EuclideanLoss" bottom: "y" bottom: "t" top: "loss" }
        """
    )
    _, bn, loss = weights.to_model(net, net.init(0)).layer
    assert [spec.lr_mult for spec in bn.param] == [0, 0, 0]
    assert loss.loss_weight == [1]


def test_layers_that_one_side_has_alone_are_passed_over():
    net, other = made(SMALL), made(INPUT + ip("a", "x", "a", 4) + ip("z", "a", "z", 9))
    params, theirs = net.init(0), other.init(1)
    got = weights.load_model(net, params, weights.to_model(other, theirs))
    np.testing.assert_array_equal(got[0], theirs[0])
    np.testing.assert_array_equal(got[2], params[2])


def test_old_models_pad_shapes_with_ones():
    net = made(INPUT + ip("a", "x", "a", 4))
    value = np.arange(12, dtype=np.float32)
    got = weights.load_blobs(net, net.init(0), {"a": [value.reshape(1, 1, 4, 3), np.zeros((1, 1, 1, 4), np.float32)]})
    np.testing.assert_array_equal(got[0], value.reshape(4, 3))


def test_batch_norm_of_nvidia_017_is_taken_in_the_order_of_015():
    layer = 'layer { name: "n" type: "BatchNorm" bottom: "x" top: "n" batch_norm_param { scale_bias: true } }'
    net = made(INPUT + layer)
    channels = net.params[0].decl.shape[0]
    mean, variance, scale, bias = (np.full(channels, v, np.float32) for v in (1, 2, 3, 4))
    got = weights.load_blobs(net, net.init(0), {"n": [mean, variance, np.ones(1), scale, bias]})
    for found, want in zip(got, (scale, bias, mean, variance, [0]), strict=True):
        np.testing.assert_array_equal(found, want)
    again = weights.load_blobs(net, net.init(0), {"n": got})
    assert all((a == b).all() for a, b in zip(again, got, strict=True))


@pytest.mark.parametrize(
    ("blobs", "message"),
    [
        (
            [np.zeros((5, 3)), np.zeros(4)],
            r"m: Cannot copy param 0 weights from layer 'a' \(weight\); shape mismatch. "
            r"Source param shape is 5 3 \(15\); target param shape is 4 3 \(12\)\. "
            r"To learn this layer's parameters from scratch",
        ),
        ([np.zeros((4, 3))], "m: Incompatible number of blobs for layer 'a': it has 1 there and 2 in this net"),
        ([], "m: Incompatible number of blobs for layer 'a': it has 0 there and 2 in this net"),
    ],
)
def test_a_model_that_does_not_fit_is_refused(blobs, message):
    net = made(INPUT + ip("a", "x", "a", 4))
    with pytest.raises(SnapshotError, match=message):
        weights.load_blobs(net, net.init(0), {"a": blobs}, "m")


def test_a_layer_without_parameters_takes_no_arrays():
    net = made(INPUT + 'layer { name: "r" type: "ReLU" bottom: "x" top: "r" }')
    with pytest.raises(SnapshotError, match="layer 'r': it has 1 there and 0 in this net"):
        weights.load_blobs(net, [], {"r": [np.zeros(1)]}, "m")
    assert weights.load_blobs(net, [], {"r": []}, "m") == []


def test_layers_of_one_name_get_their_own_back():
    relu = 'layer { name: "a" type: "ReLU" bottom: "h" top: "h" }'
    net = made(INPUT + ip("a", "x", "h", 3) + relu + ip("a", "h", "y", 3))
    params = net.init(0)
    back = weights.load_model(net, net.init(1), weights.to_model(net, params))
    assert all((a == b).all() for a, b in zip(back, params, strict=True))


def test_a_parameter_that_was_cut_takes_values_of_its_new_shape_alone():
    net = made(INPUT + ip("a", "x", "a", 4))
    params = net.init(0)
    cut = np.arange(6, dtype=np.float32).reshape(2, 3)
    got = weights.load_blobs(net, [np.zeros((2, 3)), params[1]], {"a": [cut, params[1]]}, "m")
    np.testing.assert_array_equal(got[0], cut)
    as_convolution = np.zeros((4, 3, 1, 1), np.float32)
    with pytest.raises(SnapshotError, match=r"Source param shape is 4 3 \(12\); target param shape is 4 3 1 1 \(12\)"):
        weights.load_blobs(net, [as_convolution, params[1]], {"a": params}, "m")


def test_a_blob_that_is_damaged_names_the_file_and_the_layer():
    net = made(SMALL)
    model = weights.to_model(net, net.init(0))
    broken = next(layer for layer in model.layer if layer.name == "a")
    broken.blobs[0].shape.dim[0] = 7
    with pytest.raises(SnapshotError, match=r"m\.caffemodel: layer 'a': a blob of shape \(7, 3\) holds 12 values"):
        weights.load_model(net, net.init(0), model, "m.caffemodel")
