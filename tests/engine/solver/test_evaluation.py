"""A net in phase TEST: whose parameters it takes, and the means it gives."""

import jax.numpy as jnp
import numpy as np
import pytest
from support.small_nets import INPUT, LABELS, X, ip, loss, made
from support.tiny_solver import MakeSolver, train

from engine.errors import EngineError
from engine.net import program_cache
from engine.proto import caffe_pb2 as pb
from engine.solver.evaluation import TestNet
from engine.solver.inputs import Batches

TRAINED = INPUT + LABELS + ip("a", "x", "a", 3) + loss("a")


def _tested(prototxt: str) -> TestNet:
    net = made(prototxt, pb.TEST)
    test = TestNet(net, Batches(net, seed=0), seed=0)
    test.share(made(TRAINED))
    return test


def test_parameters_are_the_trained_nets_by_layer_name_and_else_its_own():
    test = _tested(INPUT + ip("own", "x", "own", 2) + ip("a", "x", "a", 3))
    trained = [np.float32([[1, 2, 3]] * 3), np.float32([4, 5, 6])]
    mine = test.values(trained)
    assert mine[2:] == trained
    assert [m is p for m, p in zip(mine, test.params, strict=True)] == [True, True, False, False]


def test_scores_are_means_over_the_batches():
    test = _tested(TRAINED)
    passes = [(jnp.float32(x), {"a": jnp.float32([x, 2 * x])}) for x in (1, 2, 6)]
    scores = test.scores(passes)
    assert scores.loss == pytest.approx(3)
    np.testing.assert_allclose(scores.outputs["a"], [3, 6])


def test_there_are_no_scores_of_no_batches():
    assert _tested(TRAINED).scores([]) is None


def test_a_pass_is_the_forward_pass_of_its_batch():
    test = _tested(INPUT + ip("a", "x", "a", 3))
    test.batches.values["x"][...] = X
    weights, bias = np.arange(9, dtype=np.float32).reshape(3, 3), np.float32([1, 2, 3])
    ((_, outputs),) = test.passes([weights, bias], 1)
    np.testing.assert_allclose(outputs["a"], X @ weights.T + bias, rtol=1e-6)


def test_a_pass_is_told_by_what_it_is_made_of_and_kept_on_the_disk_by_that(monkeypatch):
    names = []
    monkeypatch.setattr(program_cache, "key", lambda made_of, args, how: names.append(made_of))
    for prototxt in (TRAINED, TRAINED, TRAINED + ip("b", "x", "b", 2)):
        test = _tested(prototxt)
        list(test.passes(test.params, 1))
    assert None not in names
    assert (names[0] == names[1], names[0] == names[2]) == (True, False)


def test_a_test_uses_the_parameters_of_the_moment(make_solver: MakeSolver):
    solver = make_solver("momentum: 0.9 test_iter: 1 test_interval: 100 test_initialization: false")
    train(solver, 3)
    for name, value in solver.batches.values.items():
        solver.test_nets[0].batches.values[name][...] = value
    loss = solver.test(0).loss
    solver.step(1)  # on the same batch: its loss is that of the parameters before it
    assert loss == pytest.approx(float(solver.state.losses[-1]), rel=1e-6)


def test_a_test_net_of_other_shapes_is_refused(make_solver: MakeSolver):
    other = (
        'test_net_param { layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 1 dim: 3 } } } layer {'
    )
    other += ' name: "ip1" type: "InnerProduct" bottom: "x" top: "y" inner_product_param { num_output: 7 } } }'
    with pytest.raises(
        EngineError, match=r'layer "ip1" has a parameter of shape \[7, 6\] in the train net and of \[7, 3\]'
    ):
        make_solver(other + " test_iter: 1 test_interval: 1")
