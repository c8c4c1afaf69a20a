"""Gradients that are taken span by span are those of the net as a whole."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support.small_nets import INPUT, X, ip, loss, made

from engine.net import jitted
from engine.net.net import Net
from engine.net.spans import Arguments, Span
from engine.net.tape import Tape

KEY = jax.random.key(0)
INPUTS = {"x": X, "t": np.float32([0, 2]), "s": np.float32([0, 1])}
LABELS = 'layer { name: "%s" type: "Input" top: "%s" input_param { shape { dim: 2 } } }\n'
FILTER = 'layer { name: "f" type: "Filter" bottom: "a" bottom: "t" bottom: "s" top: "f" top: "kept" }\n'
OF_USER = 'layer { name: "d" type: "Python" bottom: "b" bottom: "x" top: "d" python_param { module: "user_double" '
SHARED = 'param { name: "w" }'
LAYERS = [
    INPUT + LABELS % ("t", "t") + LABELS % ("s", "s"),
    ip("a", "x", "a", 3, SHARED),
    FILTER,
    ip("b", "f", "b", 3, SHARED),
    OF_USER + 'layer: "Double" } }\n',
    ip("c", "d", "c", 3, SHARED),
    loss("c", more="loss_weight: 3").replace('bottom: "t"', 'bottom: "kept"'),
]
"""Rows are selected, so that spans are of sizes that values ask for; all spans learn the same weights."""
MODULE = """
import caffe

class Double(caffe.Layer):
    asked = []

    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom, top):
        top[0].data[...] = 2 * bottom[0].data

    def backward(self, top, propagate_down, bottom):
        self.asked.append(propagate_down)
        bottom[0].diff[...] = 2 * top[0].diff
"""


@pytest.fixture(scope="module")
def net(tmp_path_factory) -> Net:
    folder = tmp_path_factory.mktemp("user")
    (folder / "user_double.py").write_text(MODULE)
    with pytest.MonkeyPatch.context() as changed:
        changed.setattr(sys, "path", [*sys.path, str(folder)])
        yield made("".join(LAYERS))


def _run(net: Net, probes: dict[tuple[int, int], jax.Array]) -> Tape:
    tape = Tape()
    net.forward(net.init(0), INPUTS, KEY, probes=probes, tape=tape)
    return tape


def test_gradients_are_those_of_the_whole(net: Net):
    probes = {(net.layer_names.index("d"), 0): jnp.zeros((1, 3)), (net.layer_names.index("b"), 0): jnp.zeros((1, 3))}
    params, _, below = _run(net, probes).gradients()
    whole = jax.grad(lambda p, at: net.forward(p, INPUTS, KEY, probes=at).loss, (0, 1))(net.init(0), probes)
    for (k, want), learned in zip(enumerate(whole[0]), net.params, strict=True):
        assert learned.learned == (k in params)
        np.testing.assert_array_equal(params[k], want)
    assert below.keys() == probes.keys()
    for at, want in whole[1].items():
        np.testing.assert_array_equal(below[at], want)


def test_the_user_is_asked_for_what_caffe_asks_for(net: Net):
    user = net.layers[net.layer_names.index("d")].user
    user.asked.clear()
    _run(net, {}).gradients()
    assert user.asked == [[True, False]]


def test_another_pass_compiles_nothing(net: Net, caplog: pytest.LogCaptureFixture):
    _run(net, {}).gradients()
    with jax.log_compiles():
        _run(net, {}).gradients()
    assert not [record for record in caplog.records if "Compiling" in record.getMessage()]


def test_a_span_is_traced_once_for_its_sizes_and_once_for_what_is_kept(net: Net):
    first = net.layer_names.index("a")
    values = dict.fromkeys(net.graph.nodes[first].bottoms, X)
    params = dict(enumerate(net.init(0)))
    other = Net.from_param(net.graph.param)
    for keep in (False, True):
        for key in (KEY, jax.random.key(1)):
            other.push_span(Span(first, first, keep), Arguments(params, values, key))
            other.run_span(Span(first, first, keep), Arguments(params, values, key, {}))
    assert (other.push_span._cache_size(), other.run_span._cache_size()) == (2, 2)


def test_parameters_are_not_copied(net: Net):
    first = net.layer_names.index("a")
    values = dict.fromkeys(net.graph.nodes[first].bottoms, X)
    _, _, kept = net.push_span(Span(first, first), Arguments(dict(enumerate(net.init(0))), values, KEY))
    assert all(array.shape != net.params[0].shape for array in kept.computed)


def test_jax_makes_its_gradient_where_programs_have_options_of_their_own(monkeypatch: pytest.MonkeyPatch):
    """As they have on a GPU."""
    monkeypatch.setattr(jitted, "compiler_options", lambda: {"xla_cpu_enable_fast_min_max": True})
    net = made("".join([*LAYERS[:3], loss("f").replace('bottom: "t"', 'bottom: "kept"')]))
    params = net.init(0)
    assert np.isfinite(net.forward(params, INPUTS, KEY).loss)
    weights, *_ = jax.grad(lambda params: net.forward(params, INPUTS, KEY).loss)(params)
    assert np.any(np.asarray(weights))
