"""Ranges of layers: where they end, what they take, what they make."""

import jax
import numpy as np
from support.small_nets import SMALL, X, made

from engine.layers.base import Layer
from engine.net import spans


class Host(Layer):
    host = True


class Dynamic(Layer):
    dynamic = True


def test_a_layer_of_the_host_is_alone_and_a_dynamic_one_begins():
    layers = [Layer.__new__(kind) for kind in (Layer, Layer, Dynamic, Layer, Host, Layer)]
    layers[4].dynamic = True
    assert list(spans.spans(layers, 0, 5)) == [(0, 1), (2, 3), (4, 4), (5, 5)]
    assert list(spans.spans(layers, 1, 3)) == [(1, 1), (2, 3)]
    assert list(spans.spans(layers, 1, 2, one_by_one=True)) == [(1, 1), (2, 2)]
    assert list(spans.spans([], 0, -1)) == []


def test_what_is_read_from_outside_is_what_earlier_layers_made():
    net = made(SMALL)
    names = [layer.name for layer in net.layers]
    first, last = names.index("b"), len(names) - 1
    assert [v.blob for v in spans.reads(net.layers, net.graph.nodes, net.tops, first, last)] == ["a", "t"]


def test_a_range_makes_what_the_whole_makes():
    net = made(SMALL)
    params, key = net.init(0), jax.random.key(0)
    given = dict(zip(net.tops[0] + net.tops[1], (X, np.float32([0, 2])), strict=True))
    whole, _ = spans.run(net, 0, len(net.layers) - 1, dict(enumerate(params)), given, key, {})
    some, _ = spans.run(net, 0, 2, dict(enumerate(params)), given, key, {})
    assert all(np.array_equal(some[v], whole[v]) for v in some)
    assert len(whole) > len(some) > 0
