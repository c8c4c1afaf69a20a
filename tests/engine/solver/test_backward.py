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
