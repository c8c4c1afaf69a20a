"""A pass and its gradient."""

import jax
import numpy as np
import pytest
from support.small_nets import SMALL, X, made

from engine.solver.backward import Keep, backward

BATCH = {"x": X, "t": np.float32([0, 2])}


def test_the_gradient_is_that_of_the_loss_by_each_parameter():
    net = made(SMALL)
    params = net.init(1)
    done = backward(net, params, BATCH, jax.random.key(0))
    for k, at in ((0, (1, 2)), (3, (1,))):
        moved = [p.copy() for p in params]
        moved[k][at] += 1e-2
        slope = (float(net.forward(moved, BATCH).loss) - float(done.loss)) / 1e-2
        assert float(done.grads[k][at]) == pytest.approx(slope, rel=0.05, abs=1e-3)


def test_only_what_is_asked_for_is_kept():
    net = made(SMALL)
    plain = backward(net, net.init(1), BATCH, jax.random.key(0))
    kept = backward(net, net.init(1), BATCH, jax.random.key(0), Keep(values=True, finite=True))
    assert (plain.values, plain.finite) == (None, None)
    assert {v.blob for v in kept.values} == {"x", "t", "a", "b", "loss"}
    assert np.all(kept.finite)


RECOMPUTED = """
layer { name: "in" type: "Input" top: "x" top: "t" input_param { shape { dim: 2 dim: 3 } shape { dim: 2 } } }
layer { name: "a" type: "InnerProduct" bottom: "x" top: "a"
  inner_product_param { num_output: 4 weight_filler { type: "xavier" } } }
layer { name: "tanh" type: "TanH" bottom: "a" top: "a" }
layer { name: "drop" type: "Dropout" bottom: "a" top: "a" }
layer { name: "b" type: "InnerProduct" bottom: "a" top: "b"
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "b" bottom: "t" top: "loss" }
"""


def test_what_lies_between_products_is_computed_anew_where_less_is_kept():
    net = made(RECOMPUTED)
    params = net.init(1)

    def passed(keep):
        return lambda params: backward(net, params, BATCH, jax.random.key(0), keep).grads

    for less, all_kept in zip(passed(Keep(less=True))(params), passed(Keep())(params), strict=True):
        np.testing.assert_allclose(less, all_kept, rtol=1e-5, atol=1e-7)
    computed = {less: str(jax.make_jaxpr(passed(Keep(less=less)))(params)) for less in (False, True)}
    assert [computed[less].count(" tanh ") for less in (False, True)] == [1, 2]
    products = [computed[less].count("dot_general") for less in (False, True)]
    assert products[0] == products[1]
