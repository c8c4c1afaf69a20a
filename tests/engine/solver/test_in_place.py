"""Parameters are overwritten where they lie: in a step's program none is copied first, and no value changes."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support.small_nets import INPUT, LABELS, SMALL, X, ip, loss, made

from engine.ops import onednn_proof
from engine.proto import caffe_pb2 as pb
from engine.solver import in_place, step, updates
from engine.solver.gradients import Rates, Settings

SHARED = ' param { name: "w" } param { name: "b" }'
SUM = 'layer { name: "s" type: "Eltwise" bottom: "b" bottom: "c" top: "s" }\n'
TWO_BRANCHES = INPUT + LABELS + ip("a", "x", "a", 3) + ip("b", "a", "b", 3) + ip("c", "a", "c", 3) + SUM + loss("s")
JOINED = 'layer { name: "j" type: "Concat" bottom: "b" bottom: "c" top: "j" }\n' + ip("d", "j", "d", 3)
STILL = INPUT + LABELS + ip("a", "x", "a", 4, "param { lr_mult: 0 } param { lr_mult: 0 }") + ip("b", "a", "b", 3)


@pytest.fixture(autouse=True)
def _none_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_place, "SHORT", 0)


@pytest.mark.parametrize(
    ("net", "expected"),
    [
        pytest.param(SMALL, [[0], [1], [1], [1]], id="chain"),
        pytest.param(TWO_BRANCHES, [[0], [1], [1], [1], [1], [1]], id="branches"),
        pytest.param(
            TWO_BRANCHES.replace(SUM, JOINED).replace('"s"', '"d"'),
            [[0], [1], [1], [1], [1], [1], [3], [3]],
            id="one of those that are joined",
        ),
        pytest.param(
            INPUT + LABELS + ip("a", "x", "a", 3, SHARED) + ip("b", "a", "b", 3, SHARED) + loss("b"),
            [[1], [1]],
            id="shared",
        ),
        pytest.param(STILL + loss("b"), [[0], [1], [2], [3]], id="nothing learned below"),
    ],
)
def test_the_layers_read_are_told_by_the_gradients_of_those_below(net, expected):
    assert in_place.witnesses(made(net)) == expected


def test_what_is_short_waits_for_nothing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(in_place, "SHORT", 4)
    assert in_place.witnesses(made(SMALL)) == [[0], [], [1], []]


def test_what_is_no_number_is_no_zero_the_less():
    grads = [jnp.full(param.shape, np.nan) for param in made(SMALL).params]
    assert [int(zero) for zero in jax.jit(lambda grads: in_place.zeros(made(SMALL), grads))(grads)] == [0] * 4


def test_a_difference_is_that_of_numbers():
    w, step = jnp.float32([1, np.inf, 2, -0.0]), jnp.float32([-3, 1, np.nan, 0])
    np.testing.assert_array_equal(in_place.subtracted(w, step, jnp.uint32(0)), [4, np.inf, np.nan, 0])


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="a GPU runs operations in their order")
@pytest.mark.parametrize("net", [SMALL, TWO_BRANCHES], ids=["chain", "branches"])
def test_no_weights_are_copied(net, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(onednn_proof, "passed", lambda: False)
    made_net, param = made(net), pb.SolverParameter(momentum=0.9)
    update = updates.from_solver(param)
    params = [jnp.asarray(value) for value in made_net.init(1)]
    drawn = step.Drawn({"x": X, "t": np.float32([0, 2])}, jax.random.key(0), 0)
    rates = Rates(np.float32(0.1), np.float32(0.9))
    whole = step.whole(made_net, update, Settings.from_solver(param))
    program = whole.lower(params, update.init(params), rates, drawn).compile().as_text()
    assert not re.findall(r"f32\[\d+,\d+\]\S* copy\(%params", program)
