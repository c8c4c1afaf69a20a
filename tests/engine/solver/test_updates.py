"""What the rules' steps are is in test_recorded; here is what those few steps do not show."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from engine.proto import caffe_pb2 as pb
from engine.solver import updates


def test_adam_corrects_its_first_steps():
    """c = √(1 − β₂^t) / (1 − β₁^t): 0.1 · √0.001-like at the first iteration, 1 in the end."""
    update = updates.from_solver(pb.SolverParameter(type="Adam", momentum=0.9, momentum2=0.999))
    assert update.correction(0, 0.9) == pytest.approx((1 - 0.999) ** 0.5 / (1 - 0.9), rel=1e-4)
    assert update.correction(100_000, 0.9) == pytest.approx(1)


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("SGD", ("momentum",)),
        ("Nesterov", ("momentum",)),
        ("AdaGrad", ("squares",)),
        ("RMSProp", ("squares",)),
        ("AdaDelta", ("squares", "squared_steps")),
        ("Adam", ("momentum", "squares")),
    ],
)
def test_a_rule_begins_with_zeros_and_keeps_the_names_of_its_state(kind, names):
    """In the order that Caffe's solver states have."""
    update = updates.from_solver(pb.SolverParameter(type=kind, momentum=0.5))
    (state,) = update.init([jnp.ones((2, 3))])
    assert state._fields == names
    assert all((x.shape, x.any()) == ((2, 3), False) for x in jax.tree.leaves(state))
    step, new = jax.jit(update.step)(jnp.ones((2, 3)), state, np.float32(0.1), np.float32(0.5))
    assert (type(new), step.shape) == (type(state), (2, 3))
    assert all(x.any() for x in new)
