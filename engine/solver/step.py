"""One training iteration as compiled functions: forward, gradients, update; parameters and history donated."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from engine.devices.data_parallel import EACH, SAME, DataParallel
from engine.graph.graph import Value
from engine.net.net import Forward, Net
from engine.solver import gradients
from engine.solver.gradients import Rates, Settings
from engine.solver.report import magnitudes, nan
from engine.solver.updates import Slots, Update

Array = jax.Array
Inputs = Mapping[str, Any]


class StepResult(NamedTuple):
    """What an iteration leaves: values on the device, none of them waited for.

    steps: what was taken off each parameter, where it was asked for. loss: the mean over iter_size passes. outputs:
    those of the last pass. sinks: those of each pass. norm: the gradients' L2 norm before clipping. finite: see
    `nan.finite`, where it was asked for. values: every version of every blob in the last pass, where they were asked
    for. debug: see `debug`, where it was asked for.
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
    debug: magnitudes.Debug | None


class Passed(NamedTuple):
    """One pass: parameters with their state renewed, gradients (zeros for what is not learned), and the rest."""

    params: list[Array]
    grads: list[Array]
    loss: Array
    outputs: dict[str, Array]
    sinks: dict[str, list[Array]]
    finite: Array | None
    values: dict[Value, Array] | None
    debug: tuple[magnitudes.Blobs, magnitudes.Parameters] | None


Iterate = Callable[[Sequence[Array], Sequence[Slots], Rates, Callable[[], Inputs], Array, int], StepResult]
"""(params, history, rates, next batch, base key, iteration) → StepResult. The arrays given are used up."""


def compiled(
    net: Net,
    update: Update[Any],
    settings: Settings,
    *,
    keep_steps: bool = False,
    keep_values: bool = False,
    check_finite: bool = False,
    debug_info: bool = False,
    parallel: DataParallel | None = None,
) -> Iterate:
    """An iteration of `net`: one compiled call, or with iter_size n > 1 n calls of a pass and one of the update.

    A dynamic net's passes are compiled layer by layer (`Net.compile`), and the update apart from them.

    Pass k of iteration t draws its random numbers from fold_in(base key, t · iter_size + k), in a resumed run too; each
    device of `parallel` from a key of its own that this one gives. On several, the outputs have its axis in front, and
    loss, state and debug are its root's.
    """
    parallel = parallel or DataParallel()
    state = {k for k in net.kept if not net.params[k].decl.learned}

    def one_pass(params: list[Array], inputs: Inputs, key: Array, draw: Array) -> Passed:
        drawn = parallel.key(jax.random.fold_in(key, draw))
        asked = {"keep": keep_values, "check_finite": check_finite, "debug_info": debug_info}
        done = backward(net, params, inputs, drawn, **asked)
        return done._replace(
            params=[parallel.root_has(p) if k in state else p for k, p in enumerate(done.params)],
            loss=parallel.root_has(done.loss),
            finite=None if done.finite is None else parallel.everywhere(done.finite),
            debug=parallel.root_has(done.debug),
        )

    def updated(params: list[Array], history: list[Slots], grads: list[Array], rates: Rates) -> Updated:
        grads = [parallel.mean(g) if p.learned else g for p, g in zip(net.params, grads, strict=True)]
        new = gradients.apply(update, settings, net.params, params, grads, history, rates)
        told = magnitudes.parameters(net, params, new.steps or []) if debug_info else None
        return (new if keep_steps else new._replace(steps=None)), told

    if settings.iter_size == 1 and not net.dynamic:
        return _single(net, one_pass, updated, parallel, keep_steps=keep_steps)
    return _summed(net, one_pass, updated, parallel, settings.iter_size, keep_steps=keep_steps)


OnePass = Callable[[list[Array], Inputs, Array, Array], Passed]
Updated = tuple[gradients.Applied, magnitudes.Parameters | None]
Updating = Callable[[list[Array], list[Slots], list[Array], Rates], Updated]


def _single(net: Net, one_pass: OnePass, updated: Updating, parallel: DataParallel, *, keep_steps: bool) -> Iterate:
    def on_device(
        params: list[Array], history: list[Slots], rates: Rates, inputs: Inputs, key: Array, draw: Array
    ) -> StepResult:
        done = one_pass(params, inputs, key, draw)
        return _trained(updated(done.params, history, done.grads, rates), done.loss, [done], done)

    lie = parallel.partition_specs(net)
    trained = StepResult(lie, lie, lie if keep_steps else SAME, SAME, EACH, SAME, SAME, SAME, SAME, SAME)
    step = jax.jit(parallel.mapped(on_device, (lie, lie, SAME, EACH, SAME, SAME), trained), donate_argnums=(0, 1))

    def iterate(
        params: Sequence[Array], history: Sequence[Slots], rates: Rates, batch: Callable[[], Inputs], key: Array, t: int
    ) -> StepResult:
        return step(params, history, rates, batch(), key, t)

    return iterate


def _summed(
    net: Net, one_pass: OnePass, updated: Updating, parallel: DataParallel, n: int, *, keep_steps: bool
) -> Iterate:
    def on_device(
        params: list[Array], grads: list[Array], loss: Array, inputs: Inputs, key: Array, draw: Array
    ) -> Passed:
        done = one_pass(params, inputs, key, draw)
        sums = [a + g for a, g in zip(grads, done.grads, strict=True)]
        told = done.debug and (done.debug[0], magnitudes.parameters(net, done.params, sums))
        return done._replace(grads=sums, loss=loss + done.loss, debug=told)

    lie = parallel.partition_specs(net)
    passed = Passed(lie, EACH, SAME, EACH, SAME, SAME, SAME, SAME)
    add = net.compile(parallel.mapped(on_device, (lie, EACH, SAME, EACH, SAME, SAME), passed), donate_argnums=(0, 1, 2))
    applied = (gradients.Applied(lie, lie, lie if keep_steps else SAME, SAME), SAME)
    apply = jax.jit(parallel.mapped(updated, (lie, lie, EACH, SAME), applied), donate_argnums=(0, 1))

    def iterate(
        params: Sequence[Array], history: Sequence[Slots], rates: Rates, batch: Callable[[], Inputs], key: Array, t: int
    ) -> StepResult:
        grads, loss = parallel.zeros([p.shape for p in net.params]), parallel.same(np.float32(0))
        passes: list[Passed] = []
        for k in range(n):
            done = add(params, grads, loss, batch(), key, t * n + k)
            params, grads, loss = done.params, done.grads, done.loss
            passes.append(done._replace(params=[], grads=[], values=None))
        every = None if done.finite is None else jnp.stack([p.finite for p in passes if p.finite is not None]).all(0)
        return _trained(apply(params, history, grads, rates), loss / n, passes, done._replace(finite=every))

    return iterate


def _trained(updated: Updated, loss: Array, passes: list[Passed], last: Passed) -> StepResult:
    new, told = updated
    return StepResult(
        new.params,
        new.history,
        new.steps,
        loss,
        last.outputs,
        [p.sinks for p in passes],
        new.norm,
        last.finite,
        last.values,
        told and magnitudes.Debug([p.debug for p in passes if p.debug], told),
    )


def backward(
    net: Net,
    params: Sequence[Array],
    inputs: Inputs,
    key: Array,
    *,
    keep: bool = False,
    check_finite: bool = False,
    debug_info: bool = False,
) -> Passed:
    """A pass of `net` and the gradient of its loss by each parameter. Pure."""
    learned = [k for k, p in enumerate(net.params) if p.learned]
    keep_all = keep or check_finite or debug_info

    def loss(values: list[Array], probes: Mapping[magnitudes.Bottom, Array]) -> tuple[Array, Forward]:
        every = list(params)
        for k, value in zip(learned, values, strict=True):
            every[k] = value
        out = net.forward(every, inputs, key, keep=keep_all, probes=probes)
        return out.loss, out

    probes = {}
    if debug_info:
        shaped = (lambda f, *args: f(*args)) if net.dynamic else jax.eval_shape
        probes = magnitudes.probes(net, shaped(lambda p, x: net.forward(p, x, key, keep=True).values, params, inputs))
    (found, below), out = jax.grad(loss, (0, 1), has_aux=True)([params[k] for k in learned], probes)
    grads = [jnp.zeros(p.shape, jnp.float32) for p in params]
    for k, g in zip(learned, found, strict=True):
        grads[k] = g
    renewed = [out.updates.get(k, p) for k, p in enumerate(params)]
    return Passed(
        renewed,
        grads,
        out.loss,
        out.outputs,
        out.sinks,
        nan.finite(net, out.values, grads) if check_finite else None,
        out.values if keep else None,
        (magnitudes.blobs(net, out.values, below), magnitudes.parameters(net, renewed, grads)) if debug_info else None,
    )
