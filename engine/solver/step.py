"""One training iteration as compiled functions: forward, gradients, update. Parameters and history are donated."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from engine.devices.data_parallel import EACH, SAME, DataParallel
from engine.graph.graph import Value
from engine.net.convolution_work import light
from engine.net.jitted import jitted
from engine.net.net import Net
from engine.net.sized import FixedSize, Uses
from engine.solver import gradients, in_place, in_turn
from engine.solver.backward import NOTHING, Inputs, Keep, Passed, backward
from engine.solver.gradients import Applied, Rates, Settings
from engine.solver.report import magnitudes
from engine.solver.updates import Slots, Update

Array = jax.Array
NextBatch = Callable[[], Inputs]
Params = list[Array]
History = list[Slots]


class StepResult(NamedTuple):
    """The result of an iteration: values on the device, which may still be computing them.

    loss: the mean over iter_size passes. outputs: those of the last pass. sinks: those of each pass. norm: the
    gradients' L2 norm before clipping. labels: one per pass, for `Net.check_labels`. The others are None unless `Keep`
    asks for them. steps: what was subtracted from each parameter. before: the parameters in the last pass, with values.
    finite: see `nan.finite`. values: every version of every blob in the last pass. debug: see `magnitudes`, one per
    pass.
    """

    params: list[Array]
    history: list[Slots]
    steps: list[Array] | None
    before: Sequence[Array] | None
    loss: Array
    outputs: dict[str, Array]
    sinks: list[dict[str, list[Array]]]
    norm: Array
    finite: Array | None
    values: dict[Value, Array] | None
    debug: list[magnitudes.PassMagnitudes] | None
    labels: list[Array]


# What the compiled functions take and return. The same types also hold the partition specs of these values.


class Carry(NamedTuple):
    """What an iteration hands to the next one, which uses it up."""

    params: list[Array]
    history: list[Slots]


class Sums(NamedTuple):
    """What a pass hands to the next, which uses it up: sums over the passes so far; grads: empty if iter_size is 1."""

    params: list[Array]
    grads: list[Array]
    loss: Array


class Drawn(NamedTuple):
    """What differs from pass to pass: the batch, and the number that is folded into the base key for the pass's key."""

    inputs: Inputs
    key: Array
    number: int


DRAWN: Any = Drawn(inputs=EACH, key=SAME, number=SAME)


R = TypeVar("R")


class Call(NamedTuple, Generic[R]):
    """The arguments of an iteration, or of several, with `rates` for each; see `Iterate`."""

    params: Params
    history: History
    rates: R
    next_batch: NextBatch
    key: Array
    iteration: int
    passes: int | None = None


class Iterate(Protocol):
    """One iteration, which uses up `params` and `history` and calls `next_batch` once per pass. passes: the number of
    passes if not iter_size, with the same programs; the loss is their mean."""

    def __call__(
        self,
        params: Params,
        history: History,
        rates: Rates,
        next_batch: NextBatch,
        key: Array,
        iteration: int,
        passes: int | None = None,
    ) -> StepResult: ...


Run = Callable[[Call[Rates]], StepResult]


def compiled(
    net: Net,
    update: Update[Any],
    settings: Settings,
    keep: Keep = NOTHING,
    parallel: DataParallel | None = None,
    uses: Uses | None = None,
) -> Iterate:
    """An iteration of `net`: one compiled call or, with iter_size n > 1, n calls for the passes and one for the update.

    A dynamic net's passes are compiled span by span (`Net.compile`), and the update separately.

    Pass k of iteration t draws its random numbers from fold_in(base key, t · iter_size + k), in a resumed run too; each
    device of `parallel` uses its own key, derived from this one. With several devices, the outputs have an axis of
    devices in front, and loss, state and debug are the root's. uses: counts batches of each size, and so decides how
    these are compiled.
    """
    parts = _Parts(net, update, settings, keep, parallel or DataParallel())
    uses = uses or Uses()
    by_pass = _summed(parts, uses)
    run = by_pass if settings.iter_size > 1 or net.dynamic else _by_size(_single(parts), by_pass, uses)
    return lambda *arguments: run(Call(*arguments))


def whole(net: Net, update: Update[Any], settings: Settings, keep: Keep = NOTHING) -> jax.stages.Wrapped:
    """An iteration with one pass as one compiled function (params, history, rates, drawn) → StepResult, on one device.

    It uses up `history`, and also `params` unless they are kept.
    """
    return _whole(_Parts(net, update, settings, keep, DataParallel()))


def _by_size(first: Run, others: Run, uses: Uses) -> Run:
    """Runs `first` on batches of the first size, and `others`, whose update is compiled only once, on all others."""

    def iterate(call: Call[Rates]) -> StepResult:
        batch = call.next_batch()
        run = first if uses.first(batch) else others
        return run(call._replace(next_batch=lambda: batch))

    return iterate


Apply = Callable[[Carry, list[Array], Rates], Applied]


def compiled_update(
    net: Net, update: Update[Any], settings: Settings, keep: Keep = NOTHING, parallel: DataParallel | None = None
) -> Apply:
    """Only the update of an iteration, from gradients that were summed over its passes."""
    return _compiled_update(_Parts(net, update, settings, keep, parallel or DataParallel()))


@dataclass(frozen=True)
class _Parts:
    """The parts of an iteration, as run on one device or on each of several."""

    net: Net
    update: Update[Any]
    settings: Settings
    keep: Keep
    parallel: DataParallel

    def run_pass(self, params: Sequence[Array], drawn: Drawn) -> Passed:
        """A pass over the device's own batch. The loss, state and magnitudes returned are the root's."""
        net, parallel = self.net, self.parallel
        if any(p.decl.iteration for p in net.params):
            params = _at_iteration(net, params, drawn.number // self.settings.iter_size + 1)
        key = parallel.key(_fold_in(drawn.key, drawn.number))
        passed = backward(net, params, drawn.inputs, key, self.keep)
        state = {k for k in net.model_params if not net.params[k].decl.learned}
        return passed._replace(
            params=[parallel.root_has(p) if k in state else p for k, p in enumerate(passed.params)],
            loss=parallel.root_has(passed.loss),
            finite=None if passed.finite is None else parallel.everywhere(passed.finite),
            debug=parallel.root_has(passed.debug),
        )

    def run_update(self, carry: Carry, grads: Sequence[Array], rates: Rates) -> Applied:
        """The update with the mean of the devices' gradients."""
        net = self.net
        grads = [self.parallel.mean(g) if p.learned else g for p, g in zip(net.params, grads, strict=True)]
        zeros = in_place.zeros(net, grads)
        new = gradients.apply(self.update, self.settings, net.params, carry.params, grads, carry.history, rates, zeros)
        return new if self.keep.steps else new._replace(steps=None)

    @property
    def used_up(self) -> tuple[int, ...]:
        """The arguments that a compiled function may overwrite: not parameters if they are kept."""
        return () if self.keep.values else (0,)

    # How values are distributed over the devices

    @property
    def params(self) -> Any:
        return self.parallel.partition_specs(self.net)

    @property
    def carry(self) -> Any:
        return Carry(params=self.params, history=self.params)

    @property
    def steps(self) -> Any:
        return self.params if self.keep.steps else SAME


def _at_iteration(net: Net, params: Sequence[Array], iteration: int | Array) -> Sequence[Array]:
    """`params`, with `iteration` as the value of those that layers declare to be the number of the iteration."""
    rows = zip(net.params, params, strict=True)
    return [jnp.full_like(value, iteration) if p.decl.iteration else value for p, value in rows]


def _whole(parts: _Parts, jit: Callable[..., jax.stages.Wrapped] = jax.jit) -> jax.stages.Wrapped:
    def on_device(carry: Carry, rates: Rates, drawn: Drawn) -> StepResult:
        passed = parts.run_pass(carry.params, drawn)
        updated = parts.run_update(carry._replace(params=passed.params), passed.grads, rates)
        return _result(updated, passed.loss, [passed], passed)

    returned: Any = StepResult(
        params=parts.params,
        history=parts.params,
        steps=parts.steps,
        before=SAME,
        loss=SAME,
        outputs=EACH,
        sinks=SAME,
        norm=SAME,
        finite=SAME,
        values=SAME,
        debug=SAME,
        labels=EACH,
    )
    mapped = parts.parallel.mapped(on_device, (parts.carry, SAME, DRAWN), returned)

    def on_devices(params: Params, history: History, rates: Rates, drawn: Drawn) -> StepResult:
        result: StepResult = mapped(Carry(params, history), rates, drawn)
        return result

    return jit(on_devices, donate_argnums=(1,) if parts.keep.values else (0, 1))


def _single(parts: _Parts) -> Run:
    step, settle = _whole(parts, jitted), in_turn.settle(parts.net)

    def iterate(call: Call[Rates]) -> StepResult:
        drawn = Drawn(call.next_batch(), call.key, call.iteration)
        settle(call.params)
        result: StepResult = step(call.params, call.history, call.rates, drawn)
        return result._replace(before=call.params) if parts.keep.values else result

    return iterate


def _summed(parts: _Parts, uses: Uses) -> Run:
    net, n = parts.net, parts.settings.iter_size
    add, apply, settle = _compiled_pass(parts, uses), _compiled_update(parts), in_turn.settle(net)

    def iterate(call: Call[Rates]) -> StepResult:
        zeros = parts.parallel.zeros([p.shape for p in net.params]) if n > 1 else []
        sums = Sums(call.params, zeros, parts.parallel.same(np.float32(0)))
        passes: list[Passed] = []
        count = call.passes or n
        for k in range(count):
            before = sums.params
            drawn = Drawn(call.next_batch(), call.key, call.iteration * n + k)
            settle(sums)
            passed = add(sums, drawn)
            sums = Sums(passed.params, passed.grads, passed.loss)
            passes.append(passed._replace(params=[], grads=[], values=None))
        every = None if passed.finite is None else jnp.stack([p.finite for p in passes if p.finite is not None]).all(0)
        updated = apply(Carry(sums.params, call.history), sums.grads, call.rates)
        result = _result(updated, sums.loss / count if n > 1 else sums.loss, passes, passed._replace(finite=every))
        return result._replace(before=before) if parts.keep.values else result

    return iterate


def _compiled_pass(parts: _Parts, uses: Uses) -> Callable[[Sums, Drawn], Passed]:
    """A pass whose gradients and loss are added to those of earlier passes."""

    def on_device(sums: Sums, drawn: Drawn) -> Passed:
        passed = parts.run_pass(sums.params, drawn)
        grads = _added(sums.grads, passed.grads) if sums.grads else passed.grads
        debug = passed.debug and passed.debug._replace(params=magnitudes.parameters(parts.net, passed.params, grads))
        return passed._replace(grads=grads, loss=sums.loss + passed.loss, debug=debug)

    arguments: Any = Sums(params=parts.params, grads=EACH, loss=SAME)
    returned: Any = Passed(
        params=parts.params,
        grads=EACH,
        loss=SAME,
        outputs=EACH,
        sinks=SAME,
        finite=SAME,
        values=SAME,
        debug=SAME,
        labels=EACH,
    )
    mapped = parts.parallel.mapped(on_device, (arguments, DRAWN), returned)
    return parts.net.compile(
        mapped,
        uses=uses,
        inputs=lambda _, drawn: drawn.inputs,
        light=lambda _, drawn: light(parts.net.resized({name: np.shape(x) for name, x in drawn.inputs.items()})),
        made_of=lambda: (
            _compiled_pass,
            parts.net.made_of(),
            parts.keep,
            parts.settings.iter_size,
            parts.parallel.count,
        ),
        donate_argnums=parts.used_up,
    )


_fold_in = jax.jit(jax.random.fold_in, inline=True)
"""Compiled, as a single call, where a pass is not compiled as one."""


@jax.jit
def _added(sums: list[Array], grads: list[Array]) -> list[Array]:
    """Compiled, as a single call, where a pass is not compiled as one."""
    return [a + g for a, g in zip(sums, grads, strict=True)]


def _compiled_update(parts: _Parts) -> Apply:
    returned: Any = Applied(params=parts.params, history=parts.params, steps=parts.steps, norm=SAME)
    mapped = parts.parallel.mapped(parts.run_update, (parts.carry, EACH, SAME), returned)
    made_of = (_compiled_update, parts.net.params, parts.update, parts.settings, parts.keep, parts.parallel.count)
    return FixedSize(mapped, made_of, donate_argnums=parts.used_up)


def _result(new: Applied, loss: Array, passes: list[Passed], last: Passed) -> StepResult:
    return StepResult(
        params=new.params,
        history=new.history,
        steps=new.steps,
        before=None,
        loss=loss,
        outputs=last.outputs,
        sinks=[p.sinks for p in passes],
        norm=new.norm,
        finite=last.finite,
        values=last.values,
        debug=[p.debug for p in passes if p.debug] or None,
        labels=[p.labels for p in passes],
    )
