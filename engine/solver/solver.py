"""The training loop, in Caffe's order: test, iterate, show, snapshot, listen."""

import enum
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Self

import jax
import numpy as np

from engine import log
from engine.devices.data_parallel import DataParallel
from engine.devices.run_faults import surfaced
from engine.errors import SolverError
from engine.graph.graph import Value
from engine.proto import caffe_pb2 as pb
from engine.solver import schedules, training_run
from engine.solver.best_tracker import Best, BestTracker
from engine.solver.control.consensus import NUMBERED, agreed
from engine.solver.control.requests import Request, Requests
from engine.solver.evaluation import Pass, Scores
from engine.solver.gradients import Rates
from engine.solver.in_flight import BEHIND, InFlight
from engine.solver.keys import base_key
from engine.solver.loop import Each, Iterations
from engine.solver.options import TrainOptions
from engine.solver.report.caffe_log import Report
from engine.solver.report.compiling import compiling
from engine.solver.schedules import Planned
from engine.solver.snapshot import formats
from engine.solver.snapshot.formats import Files
from engine.solver.state import DataPositions
from engine.solver.step import Carry, StepResult

Array = jax.Array


class Outcome(enum.Enum):
    """How a run ended: DONE at max_iter; STOPPED by its user; CONTINUES: ended in time for another job to resume it."""

    DONE = "done"
    STOPPED = "stopped"
    CONTINUES = "continues"


class Solver:
    """A training run and its current state.

    run: what stays the same during the run; param, net, batches and test_nets are parts of it. batches.values: what
    Input layers get. state: the current state, which only this class assigns. rate: the last iteration's learning rate.
    values, before, steps: kept from the last iteration on request: every blob, the parameters in its last pass, and
    what was subtracted from each of them.
    """

    def __init__(
        self,
        param: pb.SolverParameter,
        path: str | Path | None = None,
        requests: Requests | None = None,
        report: Report | None = None,
        options: TrainOptions | None = None,
        parallel: DataParallel | None = None,
        *,
        keep_values: bool = False,
    ) -> None:
        """Builds the run. Raises EngineError.

        path: the solver's file; relative names are also looked for beside it. parallel: the devices that train, by
        default one. keep_values: whether `values`, `before` and `steps` are kept after each iteration.
        """
        self.run, self.state = training_run.build(
            param,
            path,
            report or Report(),
            options or TrainOptions(),
            parallel or DataParallel(),
            keep_values=keep_values,
        )
        self.param, self.net = param, self.run.net
        self.batches, self.test_nets = self.run.batches, self.run.test_nets
        self.requests = agreed(requests or Requests(), self.run.parallel)
        self._key = base_key(self.state.seed)
        self.steps: Sequence[Array] | None = None
        self.values: Mapping[Value, Array] | None = None
        self.before: Sequence[Array] | None = None
        self._in_flight = InFlight(self.run)
        self._ended_by: Request | None = None
        self._compiled = False

    @property
    def iter(self) -> int:
        """The number of updates made."""
        return self.state.iteration

    @property
    def params(self) -> Sequence[Array]:
        """One array for each of `net.params`, on the device; may be replaced between steps."""
        return self.state.params

    @params.setter
    def params(self, values: Sequence[Array]) -> None:
        self.state = replace(self.state, params=list(values))

    # Training

    @surfaced()
    def solve(self) -> Outcome:
        """Trains up to max_iter, with the tests and snapshots that the settings ask for.

        Raises SolverError if nodes begin at different iterations, and DivergedError if the options say so.
        """
        log.info("solver.cpp:289", f"Solving {self.net.name}")
        log.info("solver.cpp:290", f"Learning Rate Policy: {self.param.lr_policy}")
        (begun,) = self.run.parallel.broadcast(self.iter)
        if begun != self.iter:
            raise SolverError(
                f"this node begins at iteration {self.iter}, but the first node at {begun}: they see different "
                f"snapshots. snapshot_prefix {self.param.snapshot_prefix!r} must be on a file system that all nodes "
                "share."
            )
        self.step(self.param.max_iter - self.iter)
        wants_snapshot = self.param.snapshot_after_train or self._ended_by is Request.YIELD
        if wants_snapshot and not (self.param.snapshot and self.iter % self.param.snapshot == 0):
            self.snapshot()
        if self._ended_by is not None:
            log.info("solver.cpp:322", "Optimization stopped early.")
            return Outcome.CONTINUES if self._ended_by is Request.YIELD else Outcome.STOPPED
        if self._due(self.param.display):
            log.info("solver.cpp:327", f"Iteration {self.iter}, loss = {log.number(self.loss_after_training())}")
        if self._due(self.param.test_interval) or (self.run.options.test_last and self.param.test_interval):
            self.test_all()
        log.info("solver.cpp:332", "Optimization Done.")
        return Outcome.DONE

    @surfaced()
    def step(self, count: int) -> None:
        """Runs `count` iterations, or fewer if a request ends them."""
        end = self.iter + count
        self._ended_by = None
        self.net.check_backward()
        self.run.report.start(self.net, self.param, self.iter, self.run.parallel.count)
        while self.iter < end and self._ended_by is None:
            if self._due(self.param.test_interval) and (self.iter > 0 or self.param.test_initialization):
                self._in_flight.wait(behind=0)
                self.test_all()
                if self._ended_by is not None:
                    break
            self._iterate(min(end - self.iter, self._in_flight.together, self._until_due()))
            if self._due(self.param.snapshot):
                self.snapshot()
            self._listen()
        self._in_flight.wait(behind=0)

    def _due(self, interval: int, iteration: int | None = None) -> bool:
        return interval > 0 and (self.iter if iteration is None else iteration) % interval == 0

    def _until_due(self) -> int:
        """The number of iterations that may run before there is something to show, test or save."""
        param = self.param
        distances = [-self.iter % param.display + 1] if param.display > 0 else []
        distances += [every - self.iter % every for every in (param.test_interval, param.snapshot) if every > 0]
        return min(distances, default=sys.maxsize)

    def _iterate(self, count: int) -> None:
        """Starts up to `count` iterations in one call. Only the last of them may be one that is shown."""
        started = time.monotonic()
        first, before, planned = self.iter, self.state.losses, list(self._planned(count))
        iterations = self.advance(Carry(self.state.params, self.state.history), [each.rate for each in planned])
        count = len(iterations.each)
        planned, newest = planned[:count], first + count - 1
        last, self.rate, shown = iterations.last, planned[-1].rate, self._due(self.param.display, newest)
        self.steps, self.values, self.before = last.steps, last.values, last.before
        self.state = replace(
            self.state,
            params=last.params,
            history=last.history,
            iteration=first + count,
            current_step=planned[-1].current_step,
            losses=self._in_flight.last_losses(before, iterations.each),
            data=self._data_positions(),
        )
        show = partial(self._show, newest, last, planned[-1].dropped) if shown else None
        self._in_flight.add(first, iterations, planned, before, show)
        self._in_flight.wait(behind=0 if shown else BEHIND)
        self.requests.took("iteration", time.monotonic() - started)

    def advance(self, carry: Carry, rates: Sequence[np.float32], passes: int | None = None) -> Iterations:
        """Runs the next iterations, at most one for each learning rate; they use `carry` up."""
        all_rates = [self.rates(rate, iteration) for iteration, rate in enumerate(rates, self.iter)]
        with nullcontext() if self._compiled else compiling(self.net.name):
            iterations = self.run.iterate(*carry, all_rates, self.batches.next, self._key, self.iter, passes)
        self._compiled = True
        return iterations

    def learning_rate(self) -> np.float32:
        """The rate of the next iteration."""
        return next(self._planned(1)).rate

    def _planned(self, count: int) -> Iterator[Planned]:
        """What the learning-rate policy plans for the next `count` iterations."""
        drops, multistep = self.state.current_step, self.param.lr_policy == "multistep"
        for iteration in range(self.iter, self.iter + count):
            before = drops
            rate, drops = schedules.learning_rate(self.param, iteration, before)
            dropped = drops if multistep and drops > before else None
            yield Planned(rate * self.run.options.warmed(iteration), drops, dropped)

    def rates(self, rate: np.float32, iteration: int) -> Rates:
        """The arguments of an iteration's update at this learning rate."""
        momentum = self.param.momentum
        return Rates(rate * self.run.update.correction(iteration, momentum), np.float32(momentum))

    def apply_update(self, grads: Sequence[Array]) -> None:
        """Applies one update with gradients that the caller has computed, one for each of `net.params`."""
        self.rate, current_step, _ = next(self._planned(1))
        if self._due(self.param.display):
            log.info("sgd_solver.cpp:112", f"Iteration {self.iter}, lr = {log.number(self.rate)}")
        rates = self.rates(self.rate, self.iter)
        result = self.run.apply(Carry(self.state.params, self.state.history), list(grads), rates)
        self.steps, self.values, self.before = result.steps, None, None
        self.state = replace(
            self.state,
            params=result.params,
            history=result.history,
            iteration=self.iter + 1,
            current_step=current_step,
        )

    def pass_key(self, iteration: int, number: int) -> Array:
        """The random key for pass `number`, of `iter_size`, of an iteration."""
        return jax.random.fold_in(self._key, iteration * self.param.iter_size + number)

    def _show(self, iteration: int, result: StepResult, dropped: int | None) -> None:
        report = self.run.report
        if result.debug:
            report.magnitudes(self.net, result.debug)
        report.iteration(iteration, self.smoothed_loss(), self.run.parallel.first(result.outputs), self.rate, dropped)

    def smoothed_loss(self) -> float:
        """The mean loss of the last `average_loss` iterations. Waits for them to finish."""
        return float(np.mean([np.float32(loss) for loss in self.state.losses]))

    def loss_after_training(self) -> float:
        """The loss of one more batch, by the step that is already compiled, on copies of what it would use up."""
        # An uncommitted array has to stay uncommitted, or the program would be compiled again.
        carry = jax.tree.map(
            lambda x: jax.device_put(x, x.sharding if x.committed else None, may_alias=False),
            Carry(self.state.params, self.state.history),
        )
        iterations = self.advance(carry, [np.float32(0)], passes=1)
        if iterations.last.debug and self._due(self.param.display, self.iter - 1):
            self.run.report.forward(self.net, iterations.last.debug[0])
        return self.averaged_with(iterations.each, iterations.last.params)

    def averaged_with(self, each: Sequence[Each], params: Sequence[Array]) -> float:
        """`smoothed_loss` including passes that belong to no iteration and left `params`. As in Caffe, the state that
        they changed, such as BatchNorm's averages, is kept."""
        losses = self._in_flight.last_losses(self.state.losses, each)
        pairs = zip(self.net.params, self.state.params, params, strict=True)
        merged = [old if p.decl.learned else new for p, old, new in pairs]
        self.state = replace(self.state, params=merged, losses=losses, data=self._data_positions())
        return self.smoothed_loss()

    def _listen(self) -> None:
        """Handles waiting requests; those that end the run are left to the loop."""
        while (request := self.requests.take()) is not None:
            if request is Request.SNAPSHOT:
                self.snapshot()
            else:
                self._ended_by = request

    # Testing

    def test_all(self) -> None:
        """Tests every test net on the root, whose decisions then apply to all nodes."""
        parallel = self.run.parallel
        if parallel.root:
            self._test_all()
        ended = NUMBERED.index(self._ended_by)
        current_step, ended = parallel.broadcast(self.state.current_step, ended)
        self.state = replace(self.state, current_step=current_step)
        self._ended_by = NUMBERED[ended]

    def _test_all(self) -> None:
        """Tests each net on test_iter batches of its data. An interrupted test leaves no trace."""
        before = self.state.data.tests
        for index in range(len(self.test_nets)):
            if not self.param.test_iter[index]:
                continue
            self.test(index)
            if self._ended_by is not None:
                self._restore_test_data(before)
                return

    @surfaced()
    def test(self, index: int) -> Scores | None:
        """Tests net number `index`. Returns None if a request ended the test."""
        log.info("solver.cpp:347", f"Iteration {self.iter}, Testing net (#{index})")
        test, run = self.test_nets[index], self.run
        formats.tell_ignored((layer.name for layer in self.net.layers), test.net)
        passes = test.passes(run.parallel.own(self.params), self.param.test_iter[index])
        scores = test.scores(self._until_ended(passes), self.param.ap_version)
        self.state = replace(self.state, data=self._data_positions())
        if scores is None or self._ended_by is not None:
            log.info("solver.cpp:387", "Test interrupted.")
            return None
        run.report.test(self.iter, index, test.net, scores, self.param)
        if run.tracker and run.tracker.name in scores.outputs:
            name = run.tracker.name
            self._judge(run.tracker, float(scores.outputs[name]), test.net.output_weights[name])
        return scores

    def _until_ended(self, passes: Iterable[Pass]) -> Iterator[Pass]:
        """`passes`, until a request ends the run."""
        for one in passes:
            self._ended_by = self._ended_by or self.requests.ending()
            if self._ended_by is not None:
                return
            yield one

    def _judge(self, tracker: BestTracker, value: float, weight: float) -> None:
        """Keeps the best parameters, lowers the rate on a plateau, and stops if there is no more progress."""
        options = self.run.options
        best = tracker.after(self.state.best or Best(), self.iter, value, weight)
        self.state = replace(self.state, best=best)
        if best.is_new:
            if options.keep and self.iter not in self.state.snapshots:
                self.snapshot()
        elif self.param.lr_policy == "plateau" and best.is_plateau(self.iter, self.param.stepsize):
            current_step = self.state.current_step + 1
            self.state = replace(self.state, current_step=current_step, best=replace(best, plateau=self.iter))
            log.info("sgd_solver.cpp:81", f"Plateau Status: Iteration {self.iter}, step = {current_step}")
        if options.early_stop and best.tests_since >= options.early_stop:
            log.info(
                "solver.cpp:230",
                f"{tracker.name} has not improved on {log.number(best.value or 0)} (iteration {best.iteration}) in "
                f"{best.tests_since} tests: stopping.",
            )
            self._ended_by = Request.STOP

    # Snapshots

    def snapshot(self) -> Files:
        """Writes model, solver state and resume file; returns their paths. Raises SnapshotError."""
        self._in_flight.wait(behind=0)
        started = time.monotonic()
        # Code outside of the solver may have moved the data.
        self.state = replace(self.state, data=self._data_positions(), sizes=dict(self.run.uses.counts))
        files, self.state = self.run.checkpointer.save(self.state, self.steps)
        self.requests.took("snapshot", time.monotonic() - started)
        return files

    def restore(self, path: str | Path, *, changed: bool = False) -> None:
        """Resumes from a solver state, ours or Caffe's. changed: allow one with another net, solver type or batch size.

        Raises SnapshotError if the state cannot be read, does not fit, or is from a run with another configuration.
        """
        before = self.state.data
        self.state = self.run.checkpointer.restore(path, self.state, changed=changed)
        self._key = base_key(self.state.seed)
        self.run.uses.restore(self.state.sizes)
        if self.state.data is not before:  # a state that Caffe wrote has no positions, and the data stays where it is
            positions = self.state.data
            self.batches.restore(positions.train)
            self._restore_test_data(positions.tests)

    def _data_positions(self) -> DataPositions:
        return DataPositions(self.batches.state(), [test.batches.state() for test in self.test_nets])

    def _restore_test_data(self, positions: Sequence[dict[str, Any]]) -> None:
        """Restores these positions in the test nets' data, as far as there are nets for them."""
        for test, position in zip(self.test_nets, positions, strict=False):
            test.batches.restore(position)
        self.state = replace(self.state, data=self._data_positions())

    def close(self) -> None:
        """Ends the threads that read data, and puts the sinks' files in place."""
        self._in_flight.close()
        for batches in (self.batches, *(test.batches for test in self.test_nets)):
            batches.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
