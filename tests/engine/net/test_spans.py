"""Ranges of layers: where they end, what they take, what they make."""

import jax
import numpy as np
from support.small_nets import INPUT, LABELS, SMALL, X, ip, loss, made

from engine.layers.base import Layer
from engine.net import spans
from engine.net.spans import Arguments, Span

RELU = 'layer { name: "r" type: "ReLU" bottom: "a" top: "r" }\n'


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
    values = dict(zip(net.tops[0] + net.tops[1], (X, np.float32([0, 2])), strict=True))
    given = Arguments(dict(enumerate(params)), values, key)
    whole, _ = spans.run(net, Span(0, len(net.layers) - 1), given)
    some, _ = spans.run(net, Span(0, 2), given)
    assert all(np.array_equal(some[v], whole[v]) for v in some)
    assert len(whole) > len(some) > 0


def test_a_compiled_range_returns_what_is_asked_for_behind_it_and_no_copies_of_what_it_was_given():
    net = made(INPUT + LABELS + ip("a", "x", "a", 4) + RELU + ip("b", "r", "b", 3) + loss("b"))
    params, key = dict(enumerate(net.init(0))), jax.random.key(0)
    values = dict(zip(net.tops[0] + net.tops[1], (X, np.float32([0, 2])), strict=True))
    last = net.layer_names.index("b")

    def returned(end: int, keep: bool) -> list[str]:
        return [v.blob for v in spans.run_compiled(net, Span(0, end, keep), Arguments(params, values, key))[0]]

    assert returned(last, False) == ["b"]
    assert returned(last, True) == ["a", "r", "b"]
    assert returned(last + 1, False) == ["loss"]
