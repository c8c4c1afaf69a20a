"""Update rules by Caffe's own formulas: what is taken off a parameter, and what is remembered.

They differ from the textbook's (and optax's): the learning rate is inside the momentum's history, and δ is added
outside the root. In the formulas, g is the gradient after clipping, normalisation and decay; η the learning rate times
the parameter's lr_mult; μ momentum; h the history; all element by element.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from engine.proto import caffe_pb2 as pb

Array = jax.Array
Slots = tuple[Array, ...]
Scalar = Array | np.float32
Step = Callable[[Array, Slots, Scalar, Scalar], tuple[Array, Slots]]
"""(g, history, η, μ) → (what to take off the parameter, the new history)."""


@dataclass(frozen=True)
class Update:
    """A rule. `slots`: arrays of history a parameter, of its shape; `correction`(t, μ) scales η at iteration t."""

    slots: int
    step: Step
    correction: Callable[[int, float], np.float32] = lambda iteration, momentum: np.float32(1)

    def init(self, params: Sequence[Array]) -> list[Slots]:
        """The history before the first iteration: zeros."""
        return [tuple(jnp.zeros(p.shape, p.dtype) for _ in range(self.slots)) for p in params]


def from_solver(param: pb.SolverParameter) -> Update:
    """The rule that `type` names, of settings that `settings.check` has passed."""
    return UPDATES[param.type](param)


def sgd(p: pb.SolverParameter) -> Update:
    """h ← η g + μ h;  w ← w − h"""

    def step(g: Array, history: Slots, rate: Scalar, momentum: Scalar) -> tuple[Array, Slots]:
        h = rate * g + momentum * history[0]
        return h, (h,)

    return Update(1, step)


def nesterov(p: pb.SolverParameter) -> Update:
    """h' = η g + μ h;  w ← w − ((1 + μ) h' − μ h)   (Nesterov 1983, as Sutskever et al. 2013 write it)"""

    def step(g: Array, history: Slots, rate: Scalar, momentum: Scalar) -> tuple[Array, Slots]:
        h = rate * g + momentum * history[0]
        return (1 + momentum) * h - momentum * history[0], (h,)

    return Update(1, step)


def adagrad(p: pb.SolverParameter) -> Update:
    """h ← h + g²;  w ← w − η g / (√h + δ)   (Duchi et al. 2011)"""
    delta = np.float32(p.delta)

    def step(g: Array, history: Slots, rate: Scalar, momentum: Scalar) -> tuple[Array, Slots]:
        h = history[0] + g * g
        return rate * (g / (jnp.sqrt(h) + delta)), (h,)

    return Update(1, step)


def rmsprop(p: pb.SolverParameter) -> Update:
    """h ← ρ h + (1 − ρ) g²;  w ← w − η g / (√h + δ), ρ = rms_decay   (Tieleman and Hinton 2012)"""
    decay, delta = np.float32(p.rms_decay), np.float32(p.delta)

    def step(g: Array, history: Slots, rate: Scalar, momentum: Scalar) -> tuple[Array, Slots]:
        h = decay * history[0] + (1 - decay) * (g * g)
        return rate * (g / (jnp.sqrt(h) + delta)), (h,)

    return Update(1, step)


def adadelta(p: pb.SolverParameter) -> Update:
    """h ← μ h + (1 − μ) g²;  u = g √((δ + s) / (δ + h));  s ← μ s + (1 − μ) u²;  w ← w − η u   (Zeiler 2012)"""
    delta = np.float32(p.delta)

    def step(g: Array, history: Slots, rate: Scalar, momentum: Scalar) -> tuple[Array, Slots]:
        h = momentum * history[0] + (1 - momentum) * (g * g)
        u = g * jnp.sqrt((delta + history[1]) / (delta + h))
        s = momentum * history[1] + (1 - momentum) * (u * u)
        return rate * u, (h, s)

    return Update(2, step)


def adam(p: pb.SolverParameter) -> Update:
    """m ← β₁ m + (1 − β₁) g;  v ← β₂ v + (1 − β₂) g²;  w ← w − η c m / (√v + δ)   (Kingma and Ba 2015)

    β₁ = momentum, β₂ = momentum2, c = √(1 − β₂^(t+1)) / (1 − β₁^(t+1)).
    """
    beta2, delta = np.float32(p.momentum2), np.float32(p.delta)

    def step(g: Array, history: Slots, rate: Scalar, momentum: Scalar) -> tuple[Array, Slots]:
        m = momentum * history[0] + (1 - momentum) * g
        v = beta2 * history[1] + (1 - beta2) * (g * g)
        return rate * (m / (jnp.sqrt(v) + delta)), (m, v)

    def correction(iteration: int, momentum: float) -> np.float32:
        # On the host: 1 − β^t loses most of its digits near t = 1, and a device's pow has fewer to lose than libm's.
        t = np.float32(iteration + 1)
        return np.sqrt(1 - beta2**t) / (1 - np.float32(momentum) ** t)

    return Update(2, step, correction)


UPDATES: dict[str, Callable[[pb.SolverParameter], Update]] = {
    "SGD": sgd,
    "Nesterov": nesterov,
    "AdaGrad": adagrad,
    "RMSProp": rmsprop,
    "AdaDelta": adadelta,
    "Adam": adam,
}
