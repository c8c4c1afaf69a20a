"""The net: shapes, passes, gradients, refusals."""

import jax
import numpy as np
import pytest
from support.small_nets import INPUT, SMALL, X, ip, loss, made

from engine.errors import LayerError


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


def test_layers_that_share_their_averages_each_add_to_them():
    # BVLC Caffe 1.0, at its moving_average_fraction of 0.999
    shared = "param { lr_mult: 0 name: 'm' } param { lr_mult: 0 name: 'v' } param { lr_mult: 0 name: 'c' }"
    norms = [f'layer {{ name: "{b}" type: "BatchNorm" bottom: "{b}" top: "n{b}" {shared} }}' for b in "xz"]
    pairs = INPUT.replace("dim: 2 dim: 3", "dim: 4 dim: 2")
    net = made("".join([pairs, pairs.replace('"x"', '"z"'), *norms]))
    x = np.float32(np.arange(8).reshape(4, 2))
    updates = net.forward(net.init(0), {"x": x, "z": x + 100}).updates
    np.testing.assert_allclose(updates[0], [105.997, 107.996], rtol=1e-6)
    np.testing.assert_allclose(updates[1], [13.32667, 13.32667], rtol=1e-5)
    np.testing.assert_allclose(updates[2], [1.999], rtol=1e-6)


@pytest.mark.parametrize(
    ("layer", "bottom"),
    [
        ('type: "SigmoidCrossEntropyLoss" bottom: "x" bottom: "a" top: "c"', "a"),
        ('type: "Filter" bottom: "x" bottom: "one" top: "c" loss_weight: 1', "one"),
        ('type: "Embed" bottom: "a" top: "c" loss_weight: 1 embed_param { num_output: 1 input_dim: 2 }', "a"),
    ],
)
def test_no_gradient_goes_through_labels_and_indices(layer, bottom):
    net = INPUT + ip("a", "x", "a", 3) + ip("one", "x", "one", 1) + f'layer {{ name: "c" {layer} @ }}'
    with pytest.raises(LayerError, match=f'layer "c" .*bottom "{bottom}" depends on parameters that learn'):
        made(net.replace("@", "")).check_backward()
    made(net.replace("@", "propagate_down: false " * layer.count("bottom"))).check_backward()
