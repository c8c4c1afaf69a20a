"""Iterations that the device works on while the host goes on, and what the host does when each one is finished."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from engine import log
from engine.errors import DivergedError
from engine.solver.loop import MOMENT, Each, Iterations
from engine.solver.report import nan
from engine.solver.schedules import Planned
from engine.solver.sinks import Sinks
from engine.solver.training_run import TrainingRun

BEHIND = 2
"""The number of calls that the device may be behind: enough to keep it busy, but few, so that a run stops at once and
few batches are held in memory."""


class _Call(NamedTuple):
    """Iterations started by one call. first: the number of the first one. losses: the last ones before these."""

    first: int
    each: list[Each]
    loss: Any
    planned: Sequence[Planned]
    losses: Sequence[Any]
    show: Callable[[], None] | None


class InFlight:
    """The queue of calls that the device works on. together: how many iterations the next call should have, judging by
    the time that the last ones took."""

    def __init__(self, run: TrainingRun) -> None:
        self.together = 1
        self._run = run
        self._sinks = Sinks(run.net)
        self._calls: deque[_Call] = deque()
        self._ready_at = 0.0

    def add(
        self,
        first: int,
        iterations: Iterations,
        planned: Sequence[Planned],
        losses: Sequence[Any],
        show: Callable[[], None] | None,
    ) -> None:
        """Adds iterations that have just been started. losses: the last `average_loss` ones before. show: called when
        the last iteration is finished."""
        iterations.last.loss.copy_to_host_async()
        self._calls.append(_Call(first, iterations.each, iterations.last.loss, planned, losses, show))

    def wait(self, behind: int) -> None:
        """Waits until the device is at most `behind` calls behind. Raises DivergedError for numbers that aren't finite,
        if the options say so, and LayerError for labels that are no class."""
        while len(self._calls) > behind:
            call = self._calls.popleft()
            call.loss.block_until_ready()
            self._pace(len(call.each))
            losses = [*call.losses]
            for iteration, (result, plan) in enumerate(zip(call.each, call.planned, strict=True), call.first):
                losses = self.last_losses(losses, [result])
                if call.show and result is call.each[-1]:
                    call.show()
                elif plan.dropped is not None:
                    self._run.report.multistep(iteration, plan.dropped)
                self._run.report.clipping(result.norm)
                self._look(iteration, result, plan.rate, losses)

    def last_losses(self, losses: Sequence[Any], each: Sequence[Each]) -> list[Any]:
        """The last `average_loss` losses, of which those of `each` are the newest."""
        return [*losses, *(result.loss for result in each)][-self._run.param.average_loss :]

    def close(self) -> None:
        """Puts the sinks' files in place."""
        self._sinks.close()

    def _pace(self, count: int) -> None:
        """Sets `together` by the time of the call that has ended, with `count` iterations. It grows slowly, since after
        a pause two calls may end at once."""
        now = time.monotonic()
        per_moment = int(MOMENT * count / max(now - self._ready_at, 1e-6))
        self.together = max(1, min(per_moment, 2 * self.together, self._run.together))
        self._ready_at = now

    def _look(self, iteration: int, result: Each, rate: np.float32, losses: Sequence[Any]) -> None:
        run = self._run
        for looked in result.labels if run.net.unchecked_labels else ():
            for of_one_device in run.parallel.here(looked):
                run.net.check_labels(of_one_device)
        for batch in result.sinks:
            self._sinks.write(batch)
        run.report.progress(iteration + 1, losses, rate, last=iteration + 1 == run.param.max_iter)
        self._check_finite(iteration, result)

    def _check_finite(self, iteration: int, result: Each) -> None:
        """Raises DivergedError or warns, as the options say, about any number that is not finite, or only the loss."""
        run, kind = self._run, self._run.options.nan
        if kind == "ignore" or (np.isfinite(float(result.loss)) if result.finite is None else np.all(result.finite)):
            return
        if kind == "warn":
            log.warning("solver.cpp:230", f"Iteration {iteration}: {nan.found(run.net, result.finite, result.loss)}")
            return
        run.report.diverged(iteration)
        raise DivergedError(nan.diverged(run.net, iteration, result.finite, result.loss))
