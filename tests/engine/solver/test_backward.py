"""A pass and its gradient."""

import jax
import numpy as np
import pytest
from support.small_nets import SMALL, X, made

from engine.solver.backward import NOTHING, Keep, backward

BATCH = {"x": X, "t": np.float32([0, 2])}


def passed(net, keep=NOTHING):
    """A pass and its gradient, compiled, of parameters."""
    return jax.jit(lambda params: backward(net, params, BATCH, jax.random.key(0), keep))


def test_the_gradient_is_that_of_the_loss_by_each_parameter():
    net = made(SMALL)
    params = net.init(1)
    done = passed(net)(params)
    loss = jax.jit(lambda params: net.forward(params, BATCH).loss)
    for k, at in ((0, (1, 2)), (3, (1,))):
        moved = [p.copy() for p in params]
        moved[k][at] += 1e-2
        slope = (float(loss(moved)) - float(done.loss)) / 1e-2
        assert float(done.grads[k][at]) == pytest.approx(slope, rel=0.05, abs=1e-3)


def test_only_what_is_asked_for_is_kept():
    net = made(SMALL)
    plain, kept = (passed(net, keep)(net.init(1)) for keep in (NOTHING, Keep(values=True, finite=True)))
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


def test_what_lies_between_products_is_computed_anew_where_that_is_asked_for():
    net = made(RECOMPUTED)
    params = net.init(1)
    traced = [passed(net, Keep(recompute=recompute)).trace(params) for recompute in (False, True)]
    for kept, anew in zip(*(each.lower().compile()(params).grads for each in traced), strict=True):
        np.testing.assert_allclose(anew, kept, rtol=1e-5, atol=1e-7)
    assert [str(each.jaxpr).count(" tanh ") for each in traced] == [1, 2]
    assert len({str(each.jaxpr).count("dot_general") for each in traced}) == 1
