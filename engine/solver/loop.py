"""Runs several iterations of a small net in one call of the device.

Each call costs Python some 0.5 ms, and the device has to allocate memory again. LeNet, batch 64, two cores, medians of
four alternating runs: 157 iterations per second with a call for each, 188 with ten per call.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from engine.devices.data_parallel import DataParallel
from engine.net import blob_memory
from engine.net.jitted import jitted
from engine.net.net import Net
from engine.net.sized import Uses
from engine.solver import step
from engine.solver.backward import NOTHING, Inputs, Keep
from engine.solver.gradients import Rates, Settings
from engine.solver.step import Call, History, NextBatch, Params, StepResult
from engine.solver.updates import Update

Array = jax.Array

TOGETHER = 10
"""The most iterations per call. With forty, LeNet would take 2% less time."""

SMALL = 2**25
"""Up to this many bytes of all blobs, a net's iterations may be as short as the overhead between them."""

MOMENT = 0.1
"""The time in seconds that a call of several iterations should take: short enough that nobody notices that the run
does not react meanwhile."""


class Element:
    """One element along the first axis of an array that may still be on its way; `np.asarray` waits for it."""

    def __init__(self, array: Array, index: int) -> None:
        self._array, self._index = array, index

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(np.asarray(self._array)[self._index], dtype, copy=copy)

    def __float__(self) -> float:
        return float(np.asarray(self))


class Each(NamedTuple):
    """What the host looks at for every iteration once the device has finished it; see `StepResult`."""

    loss: Any
    finite: Any
    labels: Sequence[Any]
    sinks: Sequence[Any]
    norm: Any

    @classmethod
    def of(cls, result: StepResult) -> "Each":
        return cls(result.loss, result.finite, result.labels, result.sinks, result.norm)


class Iterations(NamedTuple):
    """The result of iterations in one call: that of the last one, and what the host looks at for each."""

    last: StepResult
    each: list[Each]


class Iterate(Protocol):
    """Runs at least one iteration, and as many of `rates` as there are batches for within `MOMENT`. They use up
    `params` and `history`. passes: see `step.Iterate`; if a call has several iterations, each is one pass anyway."""

    def __call__(
        self,
        params: Params,
        history: History,
        rates: Sequence[Rates],
        next_batch: NextBatch,
        key: Array,
        iteration: int,
        passes: int | None = None,
    ) -> Iterations: ...


Run = Callable[[Call[Sequence[Rates]]], Iterations]


def most(net: Net, settings: Settings, keep: Keep, parallel: DataParallel) -> int:
    """The most iterations that a call can have: several only if they are small, and nothing else is to be kept."""
    plain = replace(keep, finite=False) == NOTHING and settings.iter_size == 1 and parallel.count == 1
    return TOGETHER if plain and not net.dynamic and blob_memory.size(net) <= SMALL else 1


def compiled(
    net: Net,
    update: Update[Any],
    settings: Settings,
    keep: Keep = NOTHING,
    parallel: DataParallel | None = None,
    uses: Uses | None = None,
) -> Iterate:
    """Iterations of `net`, with the same results as if `step.compiled` ran each of them.

    If a call can have several iterations, a single one uses the same program, so that the results are bit for bit
    independent of how many run in a call. Batches of other sizes than the first run one by one.
    """
    parallel, uses = parallel or DataParallel(), uses or Uses()
    single = _one_by_one(step.compiled(net, update, settings, keep, parallel, uses))
    several = most(net, settings, keep, parallel) > 1
    run = _by_size(_looped(step.whole(net, update, settings, keep)), single, uses) if several else single
    return lambda *arguments: run(Call(*arguments))


def _behind(call: Call[Sequence[Rates]], last: StepResult, count: int) -> Call[Sequence[Rates]]:
    """The call that continues after `count` iterations."""
    return call._replace(params=last.params, history=last.history, iteration=call.iteration + count)


def _by_size(first: Run, others: Run, uses: Uses) -> Run:
    def iterate(call: Call[Sequence[Rates]]) -> Iterations:
        batches = _within_a_moment(call.next_batch, len(call.rates))
        each: list[Each] = []
        for is_first, group in groupby(batches, uses.first):
            same, run = list(group), first if is_first else others
            now, later = call.rates[: len(same)], call.rates[len(same) :]
            iterations = run(call._replace(rates=now, next_batch=partial(next, iter(same))))
            call = _behind(call, iterations.last, len(same))._replace(rates=later)
            each += iterations.each
        return iterations._replace(each=each)

    return iterate


def _within_a_moment(next_batch: NextBatch, most: int) -> list[Inputs]:
    """Up to `most` batches, but no more once `MOMENT` has passed: if data stalls, a run that waits for several batches
    would take long to notice a request to stop."""
    until, batches = time.monotonic() + MOMENT, [next_batch()]
    while len(batches) < most and time.monotonic() < until:
        batches.append(next_batch())
    return batches


def _one_by_one(single: step.Iterate) -> Run:
    def iterate(call: Call[Sequence[Rates]]) -> Iterations:
        each: list[Each] = []
        for now in call.rates:
            result = single(call.params, call.history, now, *call[3:])
            call = _behind(call, result, 1)
            each.append(Each.of(result))
        return Iterations(result, each)

    return iterate


def _looped(run_iteration: Callable[..., Any]) -> Run:
    program = jitted(partial(_loop, run_iteration), donate_argnums=(0, 1))

    def iterate(call: Call[Sequence[Rates]]) -> Iterations:
        count = len(call.rates)
        batches = [call.next_batch() for _ in call.rates]
        batches += batches[-1:] * (TOGETHER - count)  # padding, not used
        numbers = np.zeros((TOGETHER, len(Rates._fields)), np.float32)
        numbers[:count] = call.rates
        last, looked_at = program(call.params, call.history, numbers, batches, call.key, call.iteration, count)
        return Iterations(last, [jax.tree.map(lambda x, k=k: Element(x, k), looked_at) for k in range(count)])

    return iterate


def _loop(
    run_iteration: Callable[..., StepResult],
    params: Params,
    history: History,
    rates: Array,
    batches: Sequence[Inputs],
    key: Array,
    iteration: Any,
    count: Any,
) -> tuple[StepResult, Each]:
    """Runs the first `count` iterations, at most one per batch: the last one's result, and (TOGETHER, …) `Each`.

    rates (TOGETHER, 2): the `Rates` of each.
    """
    stacked = rates, jax.tree.map(lambda *of_all: jnp.stack(of_all), *batches)

    def one(k: Any, params: Params, history: History) -> StepResult:
        now, inputs = jax.tree.map(lambda x: jax.lax.dynamic_index_in_dim(x, k, keepdims=False), stacked)
        return run_iteration(params, history, Rates(*now), step.Drawn(inputs, key, iteration + k))

    def next_one(k: Any, so_far: tuple[StepResult, Each]) -> tuple[StepResult, Each]:
        latest = one(k, so_far[0].params, so_far[0].history)
        set_element = partial(jax.lax.dynamic_update_index_in_dim, index=k, axis=0)
        looked_at = jax.tree.map(set_element, so_far[1], Each.of(latest))
        return _rest(latest), looked_at

    shapes = jax.eval_shape(one, 0, params, history)
    begun = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), _rest(shapes))
    room = jax.tree.map(lambda x: jnp.zeros((TOGETHER, *x.shape), x.dtype), Each.of(shapes))
    result: tuple[StepResult, Each] = jax.lax.fori_loop(
        0, count, next_one, (begun._replace(params=params, history=history), room)
    )
    return result


def _rest(result: StepResult) -> StepResult:
    return result._replace(finite=None, labels=[], sinks=[])
