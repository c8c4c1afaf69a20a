"""Update rules by Caffe's own formulas: what is subtracted from a parameter, and what is remembered.

They differ from textbooks (and optax): the learning rate is inside the momentum's history, and δ is added outside the
root. In the formulas, g is the gradient after clipping, normalisation and decay; η the learning rate times the
parameter's lr_mult; μ momentum; h the history; all element-wise.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from engine.proto import caffe_pb2 as pb

Array = jax.Array
Scalar = Array | np.float32
Slots = tuple[Array, ...]
"""What is remembered for one parameter: one of the states below, arrays of its shape in the order of Caffe's files."""


class MomentumState(NamedTuple):
    """For SGD and Nesterov: the exponentially decayed sum of earlier steps."""

    momentum: Array


class SquaresState(NamedTuple):
    """For AdaGrad the sum of squared gradients, for RMSProp their running mean."""

    squares: Array


class AdaDeltaState(NamedTuple):
    """Running means of the squared gradients, and of the squared steps before they are scaled by the learning rate."""

    squares: Array
    squared_steps: Array


class AdamState(NamedTuple):
    """Running means of the gradients and of their squares."""

    momentum: Array
    squares: Array


S = TypeVar("S", bound=NamedTuple)


@dataclass(frozen=True)
class Update(Generic[S]):
    """An update rule.

    state: the type of what it remembers. step: (g, state, η, μ) → what to subtract from the parameter, and the new
    state. correction(t, μ): a factor on η at iteration t.
    """

    state: type[S]
    step: Callable[[Array, S, Scalar, Scalar], tuple[Array, S]]
    correction: Callable[[int, float], np.float32] = lambda iteration, momentum: np.float32(1)

    @property
    def slots(self) -> int:
        """The number of arrays in a state."""
        return len(self.state._fields)

    def init(self, params: Sequence[Array]) -> list[S]:
        """The states before the first iteration: zeros, copied from the host; `jnp.zeros` compiles for each shape."""

        def zeros(like: Array) -> Array:
            array: Array = jax.device_put(np.zeros(like.shape, like.dtype), may_alias=False)
            return array

        return [self.state._make(zeros(p) for _ in self.state._fields) for p in params]


def from_solver(param: pb.SolverParameter) -> Update[Any]:
    """The rule that `type` names, with settings that have passed `settings.check`."""
    return UPDATES[param.type](param)


def sgd(p: pb.SolverParameter) -> Update[MomentumState]:
    """h ← η g + μ h;  w ← w − h"""

    def step(g: Array, state: MomentumState, rate: Scalar, momentum: Scalar) -> tuple[Array, MomentumState]:
        h = rate * g + momentum * state.momentum
        return h, MomentumState(h)

    return Update(MomentumState, step)


def nesterov(p: pb.SolverParameter) -> Update[MomentumState]:
    """h' = η g + μ h;  w ← w − ((1 + μ) h' − μ h)   (Nesterov 1983, as Sutskever et al. 2013 write it)"""

    def step(g: Array, state: MomentumState, rate: Scalar, momentum: Scalar) -> tuple[Array, MomentumState]:
        h = rate * g + momentum * state.momentum
        return (1 + momentum) * h - momentum * state.momentum, MomentumState(h)

    return Update(MomentumState, step)


def adagrad(p: pb.SolverParameter) -> Update[SquaresState]:
    """h ← h + g²;  w ← w − η g / (√h + δ)   (Duchi et al. 2011)"""
    delta = np.float32(p.delta)

    def step(g: Array, state: SquaresState, rate: Scalar, momentum: Scalar) -> tuple[Array, SquaresState]:
        h = state.squares + g * g
        return rate * (g / (jnp.sqrt(h) + delta)), SquaresState(h)

    return Update(SquaresState, step)


def rmsprop(p: pb.SolverParameter) -> Update[SquaresState]:
    """h ← ρ h + (1 − ρ) g²;  w ← w − η g / (√h + δ), ρ = rms_decay   (Tieleman and Hinton 2012)"""
    decay, delta = np.float32(p.rms_decay), np.float32(p.delta)

    def step(g: Array, state: SquaresState, rate: Scalar, momentum: Scalar) -> tuple[Array, SquaresState]:
        h = decay * state.squares + (1 - decay) * (g * g)
        return rate * (g / (jnp.sqrt(h) + delta)), SquaresState(h)

    return Update(SquaresState, step)


def adadelta(p: pb.SolverParameter) -> Update[AdaDeltaState]:
    """h ← μ h + (1 − μ) g²;  u = g √((δ + s) / (δ + h));  s ← μ s + (1 − μ) u²;  w ← w − η u   (Zeiler 2012)"""
    delta = np.float32(p.delta)

    def step(g: Array, state: AdaDeltaState, rate: Scalar, momentum: Scalar) -> tuple[Array, AdaDeltaState]:
        h = momentum * state.squares + (1 - momentum) * (g * g)
        u = g * jnp.sqrt((delta + state.squared_steps) / (delta + h))
        s = momentum * state.squared_steps + (1 - momentum) * (u * u)
        return rate * u, AdaDeltaState(h, s)

    return Update(AdaDeltaState, step)


def adam(p: pb.SolverParameter) -> Update[AdamState]:
    """m ← β₁ m + (1 − β₁) g;  v ← β₂ v + (1 − β₂) g²;  w ← w − η c m / (√v + δ)   (Kingma and Ba 2015)

    β₁ = momentum, β₂ = momentum2, c = √(1 − β₂^(t+1)) / (1 − β₁^(t+1)).
    """
    beta2, delta = np.float32(p.momentum2), np.float32(p.delta)

    def step(g: Array, state: AdamState, rate: Scalar, momentum: Scalar) -> tuple[Array, AdamState]:
        m = momentum * state.momentum + (1 - momentum) * g
        v = beta2 * state.squares + (1 - beta2) * (g * g)
        return rate * (m / (jnp.sqrt(v) + delta)), AdamState(m, v)

    def correction(iteration: int, momentum: float) -> np.float32:
        # On the host: 1 − β^t loses most of its digits near t = 1, and a device's pow has fewer to lose than libm's.
        t = np.float32(iteration + 1)
        root: np.float32 = np.sqrt(1 - beta2**t)
        return root / (1 - np.float32(momentum) ** t)

    return Update(AdamState, step, correction)


UPDATES: dict[str, Callable[[pb.SolverParameter], Update[Any]]] = {
    "SGD": sgd,
    "Nesterov": nesterov,
    "AdaGrad": adagrad,
    "RMSProp": rmsprop,
    "AdaDelta": adadelta,
    "Adam": adam,
}
