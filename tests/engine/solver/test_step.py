"""What an iteration uses up, and what it leaves."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support.small_nets import SMALL, X, made

from engine.proto import caffe_pb2 as pb
from engine.solver import step, updates
from engine.solver.gradients import Rates, Settings
from engine.solver.step import Carry, Keep, StepResult

BATCH = {"x": X, "t": np.float32([0, 2])}


def _iterate(keep: Keep, **settings) -> tuple[Carry, StepResult]:
    """What one iteration was given, and what it left."""
    net, param = made(SMALL), pb.SolverParameter(**settings)
    update = updates.from_solver(param)
    params = [jnp.asarray(value) for value in net.init(1)]
    carry = Carry(params, update.init(params))
    iterate = step.compiled(net, update, Settings.from_solver(param), keep)
    rates = Rates(np.float32(0.1), np.float32(0.9))
    return carry, iterate(*carry, rates, lambda: BATCH, jax.random.key(0), 0)


@pytest.mark.parametrize("iter_size", [1, 2])
@pytest.mark.parametrize("kept", [(), ("steps",), ("values", "finite"), ("debug",)])
def test_only_what_was_asked_for_is_kept(kept: tuple[str, ...], iter_size: int):
    _, done = _iterate(Keep(**dict.fromkeys(kept, True)), iter_size=iter_size)
    assert {name for name in ("steps", "values", "finite", "debug") if getattr(done, name) is not None} == {*kept}


@pytest.mark.parametrize("iter_size", [1, 2])
def test_parameters_and_history_are_used_up(iter_size: int):
    given, done = _iterate(Keep(), iter_size=iter_size)
    assert all(array.is_deleted() for array in jax.tree.leaves(given))
    assert jax.tree.structure(given) == jax.tree.structure(Carry(done.params, done.history))


@pytest.mark.parametrize("iter_size", [1, 2])
def test_what_is_kept_changes_nothing(iter_size: int):
    _, plain = _iterate(Keep(), iter_size=iter_size)
    _, full = _iterate(Keep(steps=True, values=True, finite=True, debug=True), iter_size=iter_size)
    assert float(plain.loss) == pytest.approx(float(full.loss))
    for a, b in zip(plain.params, full.params, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_there_are_as_many_passes_as_iter_size():
    _, done = _iterate(Keep(debug=True), iter_size=3)
    assert (len(done.sinks), len(done.debug)) == (3, 3)
