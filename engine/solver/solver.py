"""The training loop, in Caffe's order: test, iterate, show, snapshot, listen."""

import enum
import secrets
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

import jax
import jax.numpy as jnp
import numpy as np

from engine import log
from engine.devices.data_parallel import DataParallel
from engine.errors import SolverError
from engine.graph.graph import Value
from engine.layers.python import surfaced
from engine.proto import caffe_pb2 as pb
from engine.solver import schedules, settings, step, updates
from engine.solver.control.consensus import NUMBERED, agreed
from engine.solver.control.requests import Request, Requests
from engine.solver.evaluation import Pass, Scores, TestNet
from engine.solver.gradients import Rates, Settings
from engine.solver.inputs import Batches
from engine.solver.options import TrainOptions, Watch
from engine.solver.report import nan
from engine.solver.report.caffe_log import Report
from engine.solver.settings import NetSpec
from engine.solver.sinks import Sinks
from engine.solver.snapshot import checkpoint, formats
from engine.solver.snapshot.formats import Files
from engine.solver.snapshot.retention import Shelf
from engine.solver.step import StepResult

Array = jax.Array

IN_FLIGHT = 2
"""Iterations that the device may lie behind: enough to keep it busy; few, to stop at once and to hold few batches."""


class Outcome(enum.Enum):
    """How a run ended: DONE at max_iter; STOPPED by its user; CONTINUES: left in time, to be resumed by another job."""

    DONE = "done"
    STOPPED = "stopped"
    CONTINUES = "continues"


class Solver:
    """A net, its parameters on the device, the update rule's history, and where the run stands.

    param: the settings; base_lr, momentum and gamma may be changed between steps. net: the net that is trained.
    params, history: for each of `net.params` an array, and a tuple of arrays of its shape. iter: updates made.
    batches.values: what Input layers get. test_nets: the nets that are tested, with their own data. values, steps: of
    the last iteration, where they are kept: each blob's, and what was taken off each parameter.
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
        """`path`: the solver's file, beside which relative names are looked for too. Raises EngineError.

        `parallel`: the devices that train; the default one without. `keep_values`: after an iteration `values` and
        `steps` hold what it computed.
        """
        self.parallel = parallel or DataParallel()
        with settings.named(path):
            settings.check(param)
            self.update = updates.from_solver(param)
            treatment = Settings.from_solver(param)
        self.param = param
        self.options = options or TrainOptions()
        self.requests = agreed(requests or Requests(), self.parallel)
        self._report = report or Report()
        self._report.settings(param)
        self.reseed(*self.parallel.broadcast(param.random_seed if param.random_seed >= 0 else secrets.randbits(31)))
        spec = settings.train_net(param, path)
        log.info("solver.cpp:102", f"Creating training {spec.source}")
        self.net = self._report.built(spec, self.options.precision)
        self.parallel.check(self.net)
        self.options.weigh(self.net)
        self.shelf = Shelf(
            param.snapshot_prefix, hdf5=param.snapshot_format == pb.SolverParameter.HDF5, keep=self.options.keep
        )
        formats.check_size(self.net.params, hdf5=self.shelf.hdf5, diffs=param.snapshot_diff)
        if self.parallel.root and (param.snapshot or param.snapshot_after_train):
            with settings.named(path):
                formats.check_writable(param.snapshot_prefix)
        self.batches = Batches(self.net, self.seed, self.parallel)
        self._sinks = Sinks(self.net)
        self.params: list[Array] = self.parallel.params(self.net, self.net.init(self.seed))
        self.history = self.parallel.history(self.net, self.update.init(self.params))
        self.test_nets = [self._test_net(i, s) for i, s in enumerate(settings.test_nets(param, path))]
        for entry in param.weights:
            for name in entry.split(","):
                self.load_weights(name.strip())
        self.iter = 0
        self.current_step = 0
        self.watch = self._watch()
        self._iterate = step.compiled(
            self.net,
            self.update,
            treatment,
            keep_steps=param.snapshot_diff or keep_values,
            keep_values=keep_values,
            check_finite=self.options.nan != "ignore",
            debug_info=param.debug_info,
            parallel=self.parallel,
        )
        self.steps: Sequence[Array] | None = None
        self.values: Mapping[Value, Array] | None = None
        self.losses: deque[Array | float] = deque(maxlen=param.average_loss)
        self._in_flight: deque[tuple[int, StepResult]] = deque()
        self._ended_by: Request | None = None
        log.info("solver.cpp:57", "Solver scaffolding done.")

    def _test_net(self, index: int, spec: NetSpec) -> TestNet:
        log.info("solver.cpp:190", f"Creating test net (#{index}) specified by {spec.source}")
        net = self._report.built(spec, self.options.precision)
        test = TestNet(net, Batches(net, self.seed + index + 1), self.seed)
        test.share(self.net)
        return test

    def _watch(self) -> Watch | None:
        if not self.options.watch:
            if self.param.lr_policy == "plateau":
                raise SolverError('lr_policy "plateau" needs -watch: the test output that has to get better.')
            return None
        watch = Watch(self.options.watch)
        watch.check({name for test in self.test_nets for name in test.net.output_names})
        return watch

    def reseed(self, seed: int) -> None:
        """From here on random layers draw what they draw in a run of this seed."""
        self.seed = seed
        self._key = jax.random.key(seed % 2**32)

    # Training

    def solve(self) -> Outcome:
        """Trains up to max_iter, with the tests and snapshots that the settings ask for."""
        log.info("solver.cpp:289", f"Solving {self.net.name}")
        log.info("solver.cpp:290", f"Learning Rate Policy: {self.param.lr_policy}")
        (begun,) = self.parallel.broadcast(self.iter)
        if begun != self.iter:
            raise SolverError(
                f"this node begins at iteration {self.iter} and the first one at {begun}: they see other snapshots. "
                f"snapshot_prefix {self.param.snapshot_prefix!r} has to lie on a file system that all nodes share."
            )
        self.step(self.param.max_iter - self.iter)
        wanted = self.param.snapshot_after_train or self._ended_by is Request.YIELD
        if wanted and not (self.param.snapshot and self.iter % self.param.snapshot == 0):
            self.snapshot()
        if self._ended_by is not None:
            log.info("solver.cpp:322", "Optimization stopped early.")
            return Outcome.CONTINUES if self._ended_by is Request.YIELD else Outcome.STOPPED
        if self._due(self.param.display):
            log.info("solver.cpp:327", f"Iteration {self.iter}, loss = {log.number(self._loss_after_training())}")
        if self._due(self.param.test_interval):
            self.test_all()
        log.info("solver.cpp:332", "Optimization Done.")
        return Outcome.DONE

    @surfaced()
    def step(self, count: int) -> None:
        """`count` iterations, or fewer where a request ends them."""
        end = self.iter + count
        self._ended_by = None
        self._report.start(self.net, self.param, self.iter, self.parallel.count)
        while self.iter < end and self._ended_by is None:
            if self._due(self.param.test_interval) and (self.iter > 0 or self.param.test_initialization):
                self.test_all()
                if self._ended_by is not None:
                    break
            self._one_iteration()
            if self._due(self.param.snapshot):
                self.snapshot()
            self._listen()
        self._wait(behind=0)

    def _due(self, interval: int) -> bool:
        return interval > 0 and self.iter % interval == 0

    def _one_iteration(self) -> None:
        started = time.monotonic()
        rate, self.current_step = schedules.learning_rate(self.param, self.iter, self.current_step)
        self.rate = rate * self.options.warmed(self.iter)
        done = self._advance(self.params, self.history, self.rate)
        self.params, self.history, self.steps, self.values = done.params, done.history, done.steps, done.values
        self.losses.append(done.loss)
        if self._due(self.param.display):
            if done.debug:
                self._report.magnitudes(self.net, done.debug)
            self._report.iteration(self.iter, self._smoothed_loss(), self.parallel.first(done.outputs), self.rate)
            self._report.clipping(float(done.norm))
        self._in_flight.append((self.iter, done._replace(params=[], history=[], steps=None, values=None, debug=None)))
        self.iter += 1
        self._wait(behind=IN_FLIGHT)
        self.requests.took("iteration", time.monotonic() - started)

    def _wait(self, behind: int) -> None:
        """Until the device lies at most so many iterations behind. Raises SolverError for NaN, if so asked."""
        while len(self._in_flight) > behind:
            iteration, done = self._in_flight.popleft()
            loss = done.loss.block_until_ready()
            for batch in done.sinks:
                self._sinks.write(batch)
            self._report.progress(iteration + 1, loss, self.rate, last=iteration + 1 == self.param.max_iter)
            if done.finite is not None and not np.all(done.finite):
                message = f"Iteration {iteration}: {nan.where(self.net, done.finite)} Its loss is {log.number(loss)}."
                if self.options.nan == "stop":
                    raise SolverError(f"{message} Lower base_lr, or clip_gradients; go on from the last snapshot.")
                log.warning("solver.cpp:230", message)

    def _advance(self, params: list[Array], history: list[updates.Slots], rate: np.float32) -> StepResult:
        momentum = self.param.momentum
        rates = Rates(rate * self.update.correction(self.iter, momentum), np.float32(momentum))
        return self._iterate(params, history, rates, self.batches.next, self._key, self.iter)

    def _smoothed_loss(self) -> float:
        return float(np.mean([np.float32(loss) for loss in self.losses]))

    def _loss_after_training(self) -> float:
        """The loss of one more batch, by the step that is compiled already, on copies of what it would use up."""
        params, history = jax.tree.map(jnp.copy, (self.params, self.history))
        self.losses.append(self._advance(params, history, np.float32(0)).loss)
        return self._smoothed_loss()

    def _listen(self) -> None:
        """Does what has been asked for; what ends the run is left to the loop."""
        while (request := self.requests.take()) is not None:
            if request is Request.SNAPSHOT:
                self.snapshot()
            else:
                self._ended_by = request

    # Testing

    def test_all(self) -> None:
        """Tests every test net, on the root; what comes of it counts for all."""
        if self.parallel.root:
            self._test_all()
        ended = NUMBERED.index(self._ended_by)
        self.current_step, ended = self.parallel.broadcast(self.current_step, ended)
        self._ended_by = NUMBERED[ended]

    def _test_all(self) -> None:
        """On test_iter batches of each net's data. A test that is interrupted is as if it had not begun."""
        positions = [test.batches.state() for test in self.test_nets]
        for index in range(len(self.test_nets)):
            self.test(index)
            if self._ended_by is not None:
                for test, position in zip(self.test_nets, positions, strict=True):
                    test.batches.restore(position)
                return

    @surfaced()
    def test(self, index: int) -> Scores | None:
        """Tests one; None where a request ended it."""
        log.info("solver.cpp:347", f"Iteration {self.iter}, Testing net (#{index})")
        test = self.test_nets[index]
        scores = test.scores(self._heard(test.passes(self.parallel.own(self.params), self.param.test_iter[index])))
        if scores is None or self._ended_by is not None:
            log.info("solver.cpp:387", "Test interrupted.")
            return None
        self._report.test(self.iter, index, test.net, scores, with_loss=self.param.test_compute_loss)
        if self.watch and self.watch.name in scores.outputs:
            self._judge(self.watch, float(scores.outputs[self.watch.name]), test.net.output_weights[self.watch.name])
        return scores

    def _heard(self, passes: Iterable[Pass]) -> Iterator[Pass]:
        """`passes`, as long as nothing has been asked for that ends the run."""
        for one in passes:
            self._ended_by = self._ended_by or self.requests.ending()
            if self._ended_by is not None:
                return
            yield one

    def _judge(self, watch: Watch, value: float, weight: float) -> None:
        """Keeps the best parameters, lowers the rate on a plateau, stops where nothing gets better."""
        if watch.see(self.iter, value, weight):
            if self.options.keep and self.iter not in self.shelf.iterations:
                self.snapshot()
        elif self.param.lr_policy == "plateau" and watch.is_plateau(self.iter, self.param.stepsize):
            self.current_step += 1
            log.info("sgd_solver.cpp:81", f"Plateau Status: Iteration {self.iter}, step = {self.current_step}")
        if self.options.early_stop and watch.tests_since >= self.options.early_stop:
            log.info(
                "solver.cpp:230",
                f"{watch.name} has not got better than {log.number(watch.best or 0)} (iteration {watch.iteration}) in "
                f"{watch.tests_since} tests: stopping.",
            )
            self._ended_by = Request.STOP

    # Models and states

    def load_weights(self, path: str | Path) -> None:
        """Takes the parameters of the layers that a model has by the same names, to finetune. Raises SnapshotError."""
        log.info("caffe.cpp:150", f"Finetuning from {path}")
        self.params = self.parallel.params(self.net, formats.load_model(path, self.net, self.params))
        for test in self.test_nets:
            test.params = formats.load_model(path, test.net, test.params)

    def snapshot(self) -> Files:
        """Writes model, solver state and resume file; returns their paths. Raises SnapshotError."""
        self._wait(behind=0)
        started = time.monotonic()
        files = checkpoint.save(self)
        self.requests.took("snapshot", time.monotonic() - started)
        return files

    def restore(self, path: str | Path, *, changed: bool = False) -> None:
        """Goes on from a solver state, ours or Caffe's. `changed` allows one of another net, solver type or batch size.

        Raises SnapshotError where the state cannot be read, does not fit, or is of a run that was set up otherwise.
        """
        checkpoint.restore(self, path, changed=changed)

    def close(self) -> None:
        """Ends the threads that read data, and puts the files of sinks in place."""
        self._sinks.close()
        for batches in (self.batches, *(test.batches for test in self.test_nets)):
            batches.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
