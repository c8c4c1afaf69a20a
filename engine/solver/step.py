"""One training iteration as compiled functions: forward, gradients, update; parameters and history donated."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from engine.graph import Value
from engine.net import Forward, Net
from engine.solver import gradients, nan
from engine.solver.gradients import Rates, Settings
from engine.solver.updates import Slots, Update

Array = jax.Array
Inputs = Mapping[str, Any]


class Trained(NamedTuple):
    """What an iteration leaves: values on the device, none of them waited for.

    steps: what was taken off each parameter, where it was asked for. loss: the mean over iter_size passes. outputs:
    those of the last pass. sinks: those of each pass. norm: the gradients' L2 norm before clipping. finite: see
    `nan.finite`, where it was asked for. values: every version of every blob in the last pass, where they were asked
    for.
    """

    params: list[Array]
    history: list[Slots]
    steps: list[Array] | None
    loss: Array
    outputs: dict[str, Array]
    sinks: list[dict[str, list[Array]]]
    norm: Array
    finite: Array | None
    values: dict[Value, Array] | None


class Passed(NamedTuple):
    """One pass: parameters with their state renewed, gradients (zeros for what is not learned), and the rest."""

    params: list[Array]
    grads: list[Array]
    loss: Array
    outputs: dict[str, Array]
    sinks: dict[str, list[Array]]
    finite: Array | None
    values: dict[Value, Array] | None


Iterate = Callable[[list[Array], list[Slots], Rates, Callable[[], Inputs], Array, int], Trained]
"""(params, history, rates, next batch, base key, iteration) → Trained. The arrays given are used up."""


def compiled(
    net: Net,
    update: Update,
    settings: Settings,
    *,
    keep_steps: bool = False,
    keep_values: bool = False,
    check_finite: bool = False,
) -> Iterate:
    """An iteration of `net`: one compiled call, or with iter_size n > 1 n calls of a pass and one of the update.

    A dynamic net's passes are compiled layer by layer (`Net.compile`), and the update apart from them.

    Pass k of iteration t draws its random numbers from fold_in(base key, t · iter_size + k), in a resumed run too.
    """

    def one_pass(params: list[Array], inputs: Inputs, key: Array, draw: Array) -> Passed:
        drawn = jax.random.fold_in(key, draw)
        return backward(net, params, inputs, drawn, keep=keep_values, check_finite=check_finite)

    def updated(params: list[Array], history: list[Slots], grads: list[Array], rates: Rates) -> gradients.Applied:
        new = gradients.apply(update, settings, net.params, params, grads, history, rates)
        return new if keep_steps else new._replace(steps=None)

    if settings.iter_size == 1 and not net.dynamic:
        return _single(net.compile, one_pass, updated)
    return _summed(net.compile, one_pass, updated, settings.iter_size)


OnePass = Callable[[list[Array], Inputs, Array, Array], Passed]
Compile = Callable[..., Callable[..., Any]]
Updated = Callable[[list[Array], list[Slots], list[Array], Rates], gradients.Applied]


def _single(compile: Compile, one_pass: OnePass, updated: Updated) -> Iterate:
    @partial(compile, donate_argnums=(0, 1))
    def step(
        params: list[Array], history: list[Slots], rates: Rates, inputs: Inputs, key: Array, draw: Array
    ) -> Trained:
        done = one_pass(params, inputs, key, draw)
        new = updated(done.params, history, done.grads, rates)
        return _trained(new, done.loss, [done.sinks], done)

    def iterate(
        params: list[Array], history: list[Slots], rates: Rates, batch: Callable[[], Inputs], key: Array, t: int
    ) -> Trained:
        return step(params, history, rates, batch(), key, t)

    return iterate


def _summed(compile: Compile, one_pass: OnePass, updated: Updated, n: int) -> Iterate:
    @partial(compile, donate_argnums=(0, 1, 2))
    def add(params: list[Array], grads: list[Array], loss: Array, inputs: Inputs, key: Array, draw: Array) -> Passed:
        done = one_pass(params, inputs, key, draw)
        return done._replace(grads=[a + g for a, g in zip(grads, done.grads, strict=True)], loss=loss + done.loss)

    apply = jax.jit(updated, donate_argnums=(0, 1))

    def iterate(
        params: list[Array], history: list[Slots], rates: Rates, batch: Callable[[], Inputs], key: Array, t: int
    ) -> Trained:
        done = Passed(params, [jnp.zeros(p.shape, jnp.float32) for p in params], jnp.float32(0), {}, {}, None, None)
        finite, sinks = [], []
        for k in range(n):
            done = add(done.params, done.grads, done.loss, batch(), key, t * n + k)
            finite.append(done.finite)
            sinks.append(done.sinks)
        new = apply(done.params, history, done.grads, rates)
        every = None if done.finite is None else jnp.stack([f for f in finite if f is not None]).all(0)
        return _trained(new, done.loss / n, sinks, done._replace(finite=every))

    return iterate


def _trained(new: gradients.Applied, loss: Array, sinks: list[dict[str, list[Array]]], last: Passed) -> Trained:
    return Trained(new.params, new.history, new.steps, loss, last.outputs, sinks, new.norm, last.finite, last.values)


def backward(
    net: Net,
    params: Sequence[Array],
    inputs: Inputs,
    key: Array,
    *,
    keep: bool = False,
    check_finite: bool = False,
) -> Passed:
    """A pass of `net` and the gradient of its loss by each parameter. Pure."""
    learned = [k for k, p in enumerate(net.params) if p.learned]

    def loss(values: list[Array]) -> tuple[Array, Forward]:
        every = list(params)
        for k, value in zip(learned, values, strict=True):
            every[k] = value
        out = net.forward(every, inputs, key, keep=keep or check_finite)
        return out.loss, out

    found, out = jax.grad(loss, has_aux=True)([params[k] for k in learned])
    grads = [jnp.zeros(p.shape, jnp.float32) for p in params]
    for k, g in zip(learned, found, strict=True):
        grads[k] = g
    renewed = [out.updates.get(k, p) for k, p in enumerate(params)]
    finite = nan.finite(net, out.values, grads) if check_finite else None
    return Passed(renewed, grads, out.loss, out.outputs, out.sinks, finite, out.values if keep else None)
