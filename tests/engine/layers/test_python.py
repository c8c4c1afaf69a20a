"""Python layers in a compiled net: values, gradients, parameters, batches, and errors that name the layer."""

import sys

import jax
import numpy as np
import pytest
from support.layer_cases import assert_close, check_refused, net_of

from engine.devices.run_faults import surfaced
from engine.errors import LayerError
from engine.layers.python import Phase, UserLayer
from engine.proto import caffe_pb2 as pb

MODULE = '''
import caffe
import numpy as np


class Scale(caffe.Layer):
    """y = param_str · w · x"""

    def setup(self, bottom, top):
        self.factor = float(self.param_str)
        self.blobs.add_blob(1)
        self.blobs[0].data[...] = 3
        self.asked = []

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].data.shape)

    def forward(self, bottom, top):
        top[0].data[...] = self.factor * self.blobs[0].data * bottom[0].data

    def backward(self, top, propagate_down, bottom):
        self.asked.append(propagate_down)
        self.blobs[0].diff[...] += self.factor * np.sum(top[0].diff * bottom[0].data)
        bottom[0].diff[...] = self.factor * self.blobs[0].data * top[0].diff


class Watch(caffe.Layer):
    """No tops: it looks."""

    def setup(self, bottom, top):
        self.seen = []

    def reshape(self, bottom, top):
        pass

    def forward(self, bottom, top):
        self.seen.append(float(bottom[0].data.sum()))


class Growing(caffe.Layer):
    def setup(self, bottom, top):
        self.made = 0

    def reshape(self, bottom, top):
        top[0].reshape(1 + self.made, 2)

    def forward(self, bottom, top):
        top[0].data[...] = self.made
        self.made += 1


class Chosen(caffe.Layer):
    """The rows that begin with more than 0."""

    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        top[0].reshape(1, bottom[0].shape[1])

    def forward(self, bottom, top):
        self.rows = bottom[0].data[:, 0] > 0
        top[0].reshape(int(self.rows.sum()), bottom[0].shape[1])
        top[0].data[...] = bottom[0].data[self.rows]

    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[self.rows] = top[0].diff


class OwnInit(caffe.Layer):
    def __init__(self, param, *more):
        super().__init__(param)
        self.k = len(param.bottom) + 2

    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        top[0].reshape(1)

    def forward(self, bottom, top):
        top[0].data[...] = self.k


class Raises(Scale):
    def forward(self, bottom, top):
        raise KeyError("mean")


class RaisesInBackward(Scale):
    def backward(self, top, propagate_down, bottom):
        raise KeyError("slope")


class RaisesInItsThirdPass(Growing):
    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].data.shape)

    def forward(self, bottom, top):
        self.made += 1
        if self.made == 3:
            raise KeyError("mean")


class WatchRaises(Watch):
    def forward(self, bottom, top):
        raise KeyError("mean")


class Exits(Scale):
    def forward(self, bottom, top):
        raise SystemExit(0)


class HasNoMore(Scale):
    def forward(self, bottom, top):
        next(iter(()))


class RaisesNoException(Scale):
    def forward(self, bottom, top):
        raise BaseException


class HasNoSetup(caffe.Layer):
    pass


class ExitsInSetup(Scale):
    def setup(self, bottom, top):
        import sys
        sys.exit(0)


class InALibrary(Scale):
    def setup(self, bottom, top):
        import json
        json.loads("no JSON")


class SaysMuch(Scale):
    def setup(self, bottom, top):
        raise ValueError("a " * 1000)


class OfPython2(Scale):
    def setup(self, bottom, top):
        for key in xrange(3):
            pass


class NoLayer:
    pass


class Refuses(Scale):
    def setup(self, bottom, top):
        raise ValueError("give param_str")
'''


@pytest.fixture(autouse=True)
def module(tmp_path, monkeypatch):
    (tmp_path / "user_layers.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    sys.modules.pop("user_layers", None)


def layer(name, param_str="2"):
    return f'type: "Python" python_param {{ module: "user_layers" layer: "{name}" param_str: "{param_str}" }}'


X = np.arange(6, dtype=np.float32).reshape(2, 3)


def test_tops_are_the_users_inside_a_compiled_net():
    net = net_of(layer("Scale"), {"x": (2, 3)})
    assert_close(net.compile(net.forward)(net.init(0), {"x": X}).outputs["y0"], 6 * X)


def test_a_command_of_a_modules_name_is_not_taken_for_it(tmp_path, monkeypatch):
    """Of the scripts' folder, where Python looks first in a command that is run from it."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "caffe.bin").touch()
    (tmp_path / "bin" / "user_layers.py").write_text("raise SystemExit('a command')")
    monkeypatch.syspath_prepend(str(tmp_path / "bin"))
    net = net_of(layer("Scale"), {"x": (2, 3)})
    assert_close(net.compile(net.forward)(net.init(0), {"x": X}).outputs["y0"], 6 * X)


def test_gradients_are_the_users():
    net = net_of(layer("Scale"), {"x": (2, 3)})
    diff = np.float32([[1, 2, 3], [4, 5, 6]])

    def pulled(params, x):
        return (diff * net.forward(params, {"x": x}).outputs["y0"]).sum()

    (to_w,), to_x = jax.grad(pulled, (0, 1))([np.float32([3])], X)
    assert_close(to_w, [2 * (diff * X).sum()])
    assert_close(to_x, 6 * diff)


def test_what_a_backward_does_not_write_stays_of_the_one_before():
    net = net_of(layer("Chosen"), {"x": (2, 3)})
    pull = jax.grad(lambda x: net.forward([], {"x": x}).outputs["y0"].sum())
    first, second = np.float32([[1, 1, 1], [0, 1, 1]]), np.float32([[0, 1, 1], [0, 1, 1]])
    assert_close(pull(first), [[1, 1, 1], [0, 0, 0]])
    assert_close(pull(second), [[1, 1, 1], [0, 0, 0]])


@pytest.mark.parametrize("bottom", [True, False])
def test_propagate_down_says_whose_gradient_is_asked_for(bottom):
    net = net_of(layer("Scale"), {"x": (2, 3)})
    net.compile(jax.grad(lambda p, x: net.forward(p, {"x": x}).outputs["y0"].sum(), (0, 1) if bottom else 0))(
        net.init(0), X
    )
    assert net.layers[-1].user.asked == [[bottom]]


def test_setup_gives_the_parameters_their_first_values():
    assert_close(net_of(layer("Scale"), {"x": (2, 3)}).init(0)[0], [3])


def test_a_layer_without_tops_sees_every_pass():
    net = net_of(layer("Watch"), {"x": (2, 3)}, tops=0)
    forward = net.compile(net.forward)
    jax.block_until_ready([forward([], {"x": k * X}) for k in (1, 2)])
    jax.effects_barrier()
    assert net.layers[-1].user.seen == [15, 30]


def test_its_forward_may_give_tops_the_shapes_that_values_ask_for():
    net = net_of(layer("Chosen"), {"x": (4, 2)})
    x = np.float32([[1, 5], [-1, 6], [2, 7], [-3, 8]])
    forward = net.compile(lambda x: net.forward([], {"x": x}).outputs["y0"])
    assert_close(forward(x), x[[0, 2]])
    assert_close(forward(-x), -x[[1, 3]])
    assert_close(
        jax.grad(lambda x: (3 * net.forward([], {"x": x}).outputs["y0"]).sum())(x), 3 * (x > 0)[:, :1] * [1, 1]
    )


def test_its_own_init_is_called():
    net = net_of(layer("OwnInit"), {"x": (2, 3)})
    assert_close(net.forward([], {"x": X}).outputs["y0"], np.full((1,), 3))


def test_without_bottoms_it_makes_batches_of_any_shape():
    net = net_of(layer("Growing"), {})
    (source,) = net.sources
    batches = source.open(seed=0)
    assert [batches.next()["y0"].shape for _ in range(3)] == [(1, 2), (2, 2), (3, 2)]


def test_other_bottom_shapes_reshape_it():
    net = net_of(layer("Scale"), {"x": (2, 3)})
    assert_close(
        net.compile(net.forward)(net.init(0), {"x": np.ones((5, 1), np.float32)}).outputs["y0"], np.full((5, 1), 6)
    )


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Raises", r'layer "layer" \(Python\): KeyError: \'mean\' \(.*user_layers.py:\d+, in forward\)'),
        ("RaisesInBackward", r'layer "layer" \(Python\): KeyError: \'slope\' .* in backward'),
        ("Exits", r"SystemExit: 0 \(.*user_layers.py:\d+, in forward\)"),
        ("HasNoMore", r"StopIteration \(.*user_layers.py:\d+, in forward\)"),
        ("RaisesNoException", r"BaseException \(.*user_layers.py:\d+, in forward\)"),
    ],
)
def test_an_error_in_a_pass_names_the_layer_and_the_line(name, message):
    net = net_of(layer(name), {"x": (2, 3)})
    step = net.compile(jax.value_and_grad(lambda p: net.forward(p, {"x": X}).outputs["y0"].sum()))
    with pytest.raises(LayerError, match=message), surfaced():
        jax.block_until_ready(step(net.init(0)))


def test_what_it_raises_in_a_later_pass_names_it_too_and_is_told_once():
    net = net_of(layer("RaisesInItsThirdPass"), {"x": (2, 3)})
    forward = net.compile(lambda x: net.forward([], {"x": x}).outputs)
    told = []
    for _ in range(4):
        try:
            with surfaced():
                jax.block_until_ready(forward(X))
        except LayerError as e:
            told.append(str(e))
        else:
            told.append("")
    assert [bool(each) for each in told] == [False, False, True, False]
    assert "layer \"layer\" (Python): KeyError: 'mean' (" in told[2]


def test_without_tops_what_it_raises_names_it_too():
    net = net_of(layer("WatchRaises"), {"x": (2, 3)}, tops=0)
    with pytest.raises(LayerError, match="KeyError: 'mean'"), surfaced():  # noqa: PT012
        jax.block_until_ready(net.compile(net.forward)([], {"x": X}))
        jax.effects_barrier()


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("print 'hello'", r"SyntaxError: Missing parentheses .*old_layers.py:2\)\. This is Python 2 code, .* 2to3"),
        ("except_ = 1 <> 2", r"SyntaxError: .*old_layers.py:2\)\. This is Python 2"),
        ("import cPickle", r"ModuleNotFoundError: .*'cPickle' \(.*old_layers.py:2, in <module>\)\. This is Python 2"),
        ("import no_such", r"No module named 'no_such' \(.*old_layers.py:2, in <module>\)$"),
        ("x = (", r"SyntaxError: '\(' was never closed \(.*old_layers.py:2\)$"),
        ("raise ImportError", r"ImportError \(.*old_layers.py:2, in <module>\)$"),
    ],
)
def test_a_module_that_cannot_be_imported_names_its_file_and_line(tmp_path, line, told):
    (tmp_path / "old_layers.py").write_text(f"import os\n{line}\n")
    check_refused(layer("Old").replace("user_layers", "old_layers"), {"x": (2, 3)}, told)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (layer("Refuses"), "ValueError: give param_str .* in setup"),
        (layer("ExitsInSetup"), r"SystemExit: 0 \(.*user_layers.py:\d+, in setup\)$"),
        (layer("HasNoSetup"), r"no attribute 'setup' \(user_layers.HasNoSetup\)$"),
        (layer("InALibrary"), r"JSONDecodeError: .* \(.*user_layers.py:\d+, in setup\)$"),
        (layer("SaysMuch"), r"ValueError: (a )+… \(.*user_layers.py:\d+, in setup\)$"),
        (layer("OfPython2"), r"NameError: name 'xrange' is not defined \(.*in setup\)\. This is Python 2"),
        (layer("Scale", "two"), "could not convert string to float"),
        (layer("Scala"), r'has no class "Scala" that is a caffe.Layer; it has .*Scale'),
        (layer("NoLayer"), 'has no class "NoLayer" that is a caffe.Layer'),
        (layer("Scale").replace("user_layers", "sys"), "has no class"),
        (layer("Scale").replace("user_layers", "no_such"), r'no module "no_such" in .*no_such.py on PYTHONPATH'),
        (layer("Scale").replace("user_layers", "no.such"), r'no module "no.such" in .*no/such.py on PYTHONPATH'),
        (layer("Scale").replace("user_layers", ".such"), r"\(Python\): "),
        ('type: "Python"', "needs module and layer"),
    ],
)
def test_refuses(config, message):
    check_refused(config, {"x": (2, 3)}, message)


def test_a_phase_is_a_number_and_written_out_its_name():
    phase = Phase(pb.TEST)
    assert (phase, f"{phase:d}", str(phase), f"{phase}") == (1, "1", "TEST", "TEST")


def test_a_layer_of_2015_finds_its_param_str():
    user = UserLayer(pb.LayerParameter())
    user.param_str = "4"
    assert user.param_str_ == "4"
