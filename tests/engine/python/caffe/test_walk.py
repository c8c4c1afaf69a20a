"""Forward and backward over ranges of layers, on named values."""

import jax
import numpy as np
from caffe import walk
from support.small_nets import SMALL, X, made

from engine.graph.graph import Value

LABELS = np.float32([0, 2])


def walked(net):
    """A whole forward pass: parameters by number, every value by name, the layers' random keys."""
    params = dict(enumerate(net.init(0)))
    keys = np.zeros((len(net.layers), 2), np.uint32)
    given = {Value("x", 0): X, Value("t", 0): LABELS}
    return params, given | walk.forward(net, 0, len(net.layers) - 1, params, given, keys).values, keys


def test_a_range_reads_what_comes_from_outside_of_it():
    net = made(SMALL)
    assert walk.reads(net, 0, 4) == [Value("x", 0), Value("t", 0)]
    assert walk.reads(net, 3, 4) == [Value("a", 0), Value("t", 0)]


def test_two_ranges_make_what_one_pass_makes():
    net = made(SMALL)
    params, values, keys = walked(net)
    rest = walk.forward(net, 3, 4, params, {v: values[v] for v in walk.reads(net, 3, 4)}, keys).values
    assert set(rest) == {Value("b", 0), Value("loss", 0)}
    assert all((rest[v] == values[v]).all() for v in rest)


def test_only_what_is_learned_or_lies_over_it_is_needed():
    net = made(SMALL.replace('name: "a"', 'name: "a" param { lr_mult: 0 } param { lr_mult: 0 }'))
    assert [walk.needed(net, i) for i in range(5)] == [([], []), ([], []), ([], []), ([2, 3], []), ([], [0])]


def test_backward_layer_by_layer_is_the_gradient_of_the_whole():
    net = made(SMALL)
    params, values, keys = walked(net)
    want = jax.grad(lambda p: net.forward(p, {"x": X, "t": LABELS}).loss)([params[k] for k in range(4)])
    diffs = {v.blob: np.zeros_like(x) for v, x in values.items()} | {"loss": np.float32(1)}
    zeros = {k: np.zeros_like(p) for k, p in params.items()}
    below, sums = walk.backward(net, 4, 0, params, values, diffs, zeros, keys)
    assert set(below) == {"a", "b"}
    for k, gradient in enumerate(want):
        np.testing.assert_allclose(sums[k], gradient, rtol=1e-5, atol=1e-7)
