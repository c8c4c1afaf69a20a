"""One training iteration as compiled functions: forward, gradients, update; parameters and history donated."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from engine.net import Forward, Net
from engine.solver import gradients
from engine.solver.gradients import Rates, Settings
from engine.solver.updates import Slots, Update

Array = jax.Array
Inputs = Mapping[str, Any]


class Trained(NamedTuple):
    """What an iteration leaves: values on the device, none of them waited for.

    steps: what was taken off each parameter, where it was asked for. loss: the mean over iter_size passes. outputs and
    sinks: those of the last pass. norm: the gradients' L2 norm before clipping.
    """

    params: list[Array]
    history: list[Slots]
    steps: list[Array] | None
    loss: Array
    outputs: dict[str, Array]
    sinks: dict[str, list[Array]]
    norm: Array


Iterate = Callable[[list[Array], list[Slots], Rates, Callable[[], Inputs], Array, int], Trained]
"""(params, history, rates, next batch, base key, iteration) → Trained. The arrays given are used up."""


def compiled(net: Net, update: Update, settings: Settings, *, keep_steps: bool = False) -> Iterate:
    """An iteration of `net`: one compiled call, or with iter_size n > 1 n calls of a pass and one of the update.

    Pass k of iteration t draws its random numbers from fold_in(base key, t · iter_size + k), in a resumed run too.
    """
    return (
        _single(net, update, settings, keep_steps)
        if settings.iter_size == 1
        else _summed(net, update, settings, keep_steps)
    )


def _single(net: Net, update: Update, settings: Settings, keep_steps: bool) -> Iterate:
    @partial(jax.jit, donate_argnums=(0, 1))
    def step(
        params: list[Array], history: list[Slots], rates: Rates, inputs: Inputs, key: Array, draw: Array
    ) -> Trained:
        grads, out = backward(net, params, inputs, jax.random.fold_in(key, draw))
        params = _with_state(params, out.updates)
        new = gradients.apply(update, settings, net.params, params, grads, history, rates)
        steps = new.steps if keep_steps else None
        return Trained(new.params, new.history, steps, out.loss, out.outputs, out.sinks, new.norm)

    def iterate(
        params: list[Array], history: list[Slots], rates: Rates, batch: Callable[[], Inputs], key: Array, t: int
    ) -> Trained:
        return step(params, history, rates, batch(), key, t)

    return iterate


def _summed(net: Net, update: Update, settings: Settings, keep_steps: bool) -> Iterate:
    n = settings.iter_size

    @partial(jax.jit, donate_argnums=(0, 1))
    def accumulate(
        params: list[Array], sums: tuple[list[Array], Array], inputs: Inputs, key: Array, draw: Array
    ) -> tuple[list[Array], tuple[list[Array], Array], dict[str, Array], dict[str, list[Array]]]:
        grads, out = backward(net, params, inputs, jax.random.fold_in(key, draw))
        sums = ([a + g for a, g in zip(sums[0], grads, strict=True)], sums[1] + out.loss)
        return _with_state(params, out.updates), sums, out.outputs, out.sinks

    @partial(jax.jit, donate_argnums=(0, 1))
    def apply(params: list[Array], history: list[Slots], grads: list[Array], rates: Rates) -> gradients.Applied:
        new = gradients.apply(update, settings, net.params, params, grads, history, rates)
        return new if keep_steps else new._replace(steps=[])

    def iterate(
        params: list[Array], history: list[Slots], rates: Rates, batch: Callable[[], Inputs], key: Array, t: int
    ) -> Trained:
        sums = ([jnp.zeros(p.shape, jnp.float32) for p in params], jnp.float32(0))
        for k in range(n):
            params, sums, outputs, sinks = accumulate(params, sums, batch(), key, t * n + k)
        new = apply(params, history, sums[0], rates)
        return Trained(new.params, new.history, new.steps or None, sums[1] / n, outputs, sinks, new.norm)

    return iterate


def backward(net: Net, params: Sequence[Array], inputs: Inputs, key: Array) -> tuple[list[Array], Forward]:
    """The gradient of the loss by each parameter (zeros for one that is not learned), and the pass itself."""
    learned = [k for k, p in enumerate(net.params) if p.learned]

    def loss(values: list[Array]) -> tuple[Array, Forward]:
        every = list(params)
        for k, value in zip(learned, values, strict=True):
            every[k] = value
        out = net.forward(every, inputs, key)
        return out.loss, out

    found, out = jax.grad(loss, has_aux=True)([params[k] for k in learned])
    grads = [jnp.zeros(p.shape, jnp.float32) for p in params]
    for k, g in zip(learned, found, strict=True):
        grads[k] = g
    return grads, out


def _with_state(params: Sequence[Array], updates: Mapping[int, Array]) -> list[Array]:
    return [updates.get(k, p) for k, p in enumerate(params)]
