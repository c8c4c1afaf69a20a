"""The net: shapes, parameters and their sharing, passes, gradients that Caffe computes, models."""

import jax
import numpy as np
import pytest

from engine.errors import LayerError, SnapshotError
from engine.net.net import Net
from engine.proto import caffe_pb2 as pb
from engine.proto import text

INPUT = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }\n'
LABELS = 'layer { name: "t" type: "Input" top: "t" input_param { shape { dim: 2 } } }\n'
X = np.float32([[1, -2, 3], [0.5, 4, -1]])


def made(prototxt, phase=pb.TRAIN):
    return Net.from_param(text.parse(prototxt, pb.NetParameter), phase)


def ip(name, bottom, top, outputs, more="", param=""):
    weights = f'inner_product_param {{ num_output: {outputs} weight_filler {{ type: "xavier" }} {param} }}'
    return f'layer {{ name: "{name}" type: "InnerProduct" bottom: "{bottom}" top: "{top}" {weights} {more} }}\n'


def loss(bottom, name="loss", more=""):
    return f'layer {{ name: "{name}" type: "SoftmaxWithLoss" bottom: "{bottom}" bottom: "t" top: "{name}" {more} }}\n'


SMALL = INPUT + LABELS + ip("a", "x", "a", 4) + ip("b", "a", "b", 3) + loss("b")


def grads(net, inputs):
    return jax.grad(lambda p: net.forward(p, inputs).loss)(net.init(0))


# What it is


def test_shapes_and_names():
    net = made(SMALL)
    assert net.blob_shapes == {"x": (2, 3), "t": (2,), "a": (2, 4), "b": (2, 3), "loss": ()}
    assert (net.input_names, net.output_names, net.sources) == (["x", "t"], ["loss"], [])
    assert [(p.layer, p.index, p.shape) for p in net.params] == [
        ("a", 0, (4, 3)), ("a", 1, (4,)), ("b", 0, (3, 4)), ("b", 1, (3,)),
    ]  # fmt: skip
    assert net.param_ids == [[], [], [0, 1], [2, 3], []]
    assert net.output_weights == {"loss": 1}


def test_multipliers_are_those_of_param():
    net = made(INPUT + ip("a", "x", "a", 4, "param { lr_mult: 0 } param { lr_mult: 2 decay_mult: 0 }"))
    assert [(p.lr_mult, p.decay_mult, p.learned) for p in net.params] == [(0, 1, False), (2, 0, True)]


def test_init_is_the_same_for_the_same_seed():
    net = made(SMALL)
    first, again, other = net.init(1), net.init(1), net.init(2)
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert (first[0] != other[0]).any()


def test_labels_are_bounded_where_a_layer_counts_with_them():
    bounds = made(SMALL + loss("a", "other", "loss_param { ignore_label: 255 }")).label_bounds
    assert set(bounds) == {"t"}


# What it does


def test_forward_computes_outputs_and_the_weighted_loss():
    net = made(SMALL.replace('top: "loss"', 'top: "loss" loss_weight: 3'))
    params = net.init(0)
    out = jax.jit(net.forward)(params, {"x": X, "t": np.float32([0, 2])})
    y = (X @ params[0].T + params[1]) @ params[2].T + params[3]
    want = np.mean(np.log(np.exp(y).sum(1)) - y[[0, 1], [0, 2]])
    assert set(out.outputs) == {"loss"}
    np.testing.assert_allclose(out.outputs["loss"], want, rtol=1e-5)
    np.testing.assert_allclose(out.loss, 3 * want, rtol=1e-5)
    assert not out.values


def test_keep_returns_every_version_of_every_blob():
    net = made(INPUT + ip("a", "x", "a", 4) + 'layer { name: "r" type: "ReLU" bottom: "a" top: "a" }')
    values = net.forward(net.init(0), {"x": X}, keep=True).values
    assert [(v.blob, v.version) for v in values] == [("x", 0), ("a", 0), ("a", 1)]


def test_other_input_shapes_set_the_layers_up_anew():
    net = made(SMALL)
    out = jax.jit(net.forward)(net.init(0), {"x": np.ones((5, 3), np.float32), "t": np.zeros(5, np.float32)})
    assert np.isfinite(out.loss)
    assert net.resized({"x": (2, 3)}) is net
    assert net.resized({"x": (7, 3), "t": (7,)}) is net.resized({"x": (7, 3), "t": (7,)})
    with pytest.raises(LayerError, match=r'"a".*new shapes ask for a weight of shape \[4, 9\]; it has one of \[4, 3\]'):
        net.resized({"x": (2, 9)})


# Gradients


def test_propagate_down_stops_the_gradient():
    inputs = {"x": X, "t": np.float32([0, 2])}
    assert np.abs(grads(made(SMALL), inputs)[0]).max() > 0
    stopped = made(
        SMALL.replace('bottom: "b" bottom: "t"', 'bottom: "b" bottom: "t" propagate_down: false propagate_down: false')
    )
    assert not np.any(grads(stopped, inputs)[2])


def test_backward_reaches_learned_parameters_and_stops_there():
    net = made(SMALL)
    assert net.backward.layers == [False, False, True, True, True]
    assert net.backward.bottoms == [[], [], [False], [True], [True, False]]


def test_backward_stops_above_what_is_not_learned():
    frozen = "param { lr_mult: 0 } param { lr_mult: 0 }"
    net = made(INPUT + LABELS + ip("a", "x", "a", 4, frozen) + ip("b", "a", "b", 3) + loss("b"))
    assert net.backward.layers == [False, False, False, True, True]
    assert net.backward.bottoms[3] == [False]


def test_backward_skips_what_no_loss_needs():
    net = made(SMALL + ip("side", "a", "side", 2))
    assert not net.backward.layers[net.layer_names.index("side")]


def test_force_backward_reaches_the_inputs_but_not_labels():
    net = made("force_backward: true\n" + SMALL)
    assert net.backward.bottoms == [[], [], [True], [True], [True, False]]


# Sharing

SHARED = 'param { name: "w" } param { name: "b" }'


def test_a_shared_parameter_stands_once_and_its_gradients_add_up():
    net = made(INPUT + LABELS + ip("a", "x", "a", 3, SHARED) + ip("b", "a", "b", 3, SHARED) + loss("b"))
    assert (len(net.params), net.param_ids) == (2, [[], [], [0, 1], [0, 1], []])
    alone = made(INPUT + LABELS + ip("a", "x", "a", 3) + ip("b", "a", "b", 3) + loss("b"))
    inputs = {"x": X, "t": np.float32([0, 2])}
    params = net.init(0)
    apart = jax.grad(lambda p: alone.forward(p, inputs).loss)([*params, *params])
    together = jax.grad(lambda p: net.forward(p, inputs).loss)(params)
    np.testing.assert_allclose(together[0], apart[0] + apart[2], rtol=1e-4, atol=1e-6)


def test_sharing_needs_equal_shapes():
    with pytest.raises(LayerError, match=r'"b".*weight of shape \[2, 4\] shares "w" with layer "a".*\[4, 3\]'):
        made(INPUT + ip("a", "x", "a", 4, 'param { name: "w" }') + ip("b", "a", "b", 2, 'param { name: "w" }'))


def test_permissive_sharing_needs_equal_counts():
    first, second = (f'param {{ name: "w" share_mode: {mode} }}' for mode in ("STRICT", "PERMISSIVE"))
    net = made(INPUT + ip("a", "x", "a", 4, first) + ip("b", "a", "b", 3, second))
    assert net.param_ids[2] == [0, 2]
    assert net.forward(net.init(0), {"x": X}).outputs["b"].shape == (2, 3)
    with pytest.raises(LayerError, match="even with share_mode: PERMISSIVE the counts must be equal"):
        made(INPUT + ip("a", "x", "a", 4, first) + ip("b", "a", "b", 2, second))


# Errors


@pytest.mark.parametrize(
    ("prototxt", "message"),
    [
        (INPUT + ip("a", "x", "a", 4, "loss_weight: 1 loss_weight: 2"), "2 loss_weight for 1 tops"),
        (INPUT + ip("a", "x", "a", 4, "param {} param {} param {}"), "2 parameters and 3 param blocks"),
        (INPUT + 'layer { name: "r" type: "ReLU" bottom: "x" }', "it has 0 tops and takes 1"),
        (INPUT + 'layer { name: "r" type: "Relu" bottom: "x" top: "r" }', "ReLU"),
    ],
)
def test_refuses(prototxt, message):
    with pytest.raises(LayerError, match=message):
        made(prototxt)


# Models


def test_a_model_goes_out_and_comes_back():
    net = made(SMALL)
    params = net.init(0)
    model = net.to_param(params, [p + 1 for p in params])
    back = net.load_params(net.init(1), model)
    assert all((a == b).all() for a, b in zip(back, params, strict=True))
    (layer,) = [layer for layer in model.layer if layer.name == "a"]
    np.testing.assert_allclose(layer.blobs[1].diff, params[1] + 1)


def test_layers_that_one_side_has_alone_are_passed_over():
    net, other = made(SMALL), made(INPUT + ip("a", "x", "a", 4) + ip("z", "a", "z", 9))
    params, theirs = net.init(0), other.init(1)
    got = net.load_params(params, other.to_param(theirs))
    np.testing.assert_array_equal(got[0], theirs[0])
    np.testing.assert_array_equal(got[2], params[2])


def test_old_models_pad_shapes_with_ones():
    net = made(INPUT + ip("a", "x", "a", 4))
    value = np.arange(12, dtype=np.float32)
    got = net.load_blobs(net.init(0), {"a": [value.reshape(1, 1, 4, 3), np.zeros((1, 1, 1, 4), np.float32)]})
    np.testing.assert_array_equal(got[0], value.reshape(4, 3))


@pytest.mark.parametrize(
    ("blobs", "message"),
    [
        ([np.zeros((5, 3)), np.zeros(4)], r"m: weight of layer 'a' has shape \[5, 3\] there and \[4, 3\] in this net"),
        ([np.zeros((4, 3))], "m: layer 'a' has 1 parameters there and 2 here"),
    ],
)
def test_a_model_that_does_not_fit_is_refused(blobs, message):
    net = made(INPUT + ip("a", "x", "a", 4))
    with pytest.raises(SnapshotError, match=message):
        net.load_blobs(net.init(0), {"a": blobs}, "m")
