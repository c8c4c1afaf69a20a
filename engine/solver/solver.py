"""The training loop, in Caffe's order: test, iterate, show, snapshot, listen."""

import enum
import secrets
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np

from engine import log
from engine.errors import SnapshotError
from engine.proto import caffe_pb2 as pb
from engine.solver import fingerprint, schedules, settings, snapshot, step, updates
from engine.solver.batches import Batches
from engine.solver.gradients import Rates, Settings
from engine.solver.report import Report
from engine.solver.requests import Request, Requests
from engine.solver.settings import NetSpec
from engine.solver.step import Trained
from engine.solver.testing import Scores, TestNet

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
    batches.values: what Input layers get. test_nets: the nets that are tested, with their own data.
    """

    def __init__(
        self,
        param: pb.SolverParameter,
        path: str | Path | None = None,
        requests: Requests | None = None,
        report: Report | None = None,
    ) -> None:
        """`path`: the solver's file, beside which relative names are looked for too. Raises EngineError."""
        with settings.named(path):
            settings.check(param)
            self._update = updates.from_solver(param)
            treatment = Settings.from_solver(param)
        self.param = param
        self.requests = requests or Requests()
        self._report = report or Report()
        self._report.settings(param)
        self.seed = param.random_seed if param.random_seed >= 0 else secrets.randbits(31)
        spec = settings.train_net(param, path)
        log.info("solver.cpp:102", f"Creating training {spec.source}")
        self.net = self._report.built(spec)
        snapshot.check_size(self.net.params, hdf5=self._hdf5, diffs=param.snapshot_diff)
        if param.snapshot or param.snapshot_after_train:
            snapshot.check_writable(param.snapshot_prefix)
        self.batches = Batches(self.net, self.seed)
        self.params: list[Array] = [jnp.asarray(value) for value in self.net.init(self.seed)]
        self.history = self._update.init(self.params)
        self.test_nets = [self._test_net(i, s) for i, s in enumerate(settings.test_nets(param, path))]
        for entry in param.weights:
            for name in entry.split(","):
                self.load_weights(name.strip())
        self.iter = 0
        self.current_step = 0
        self._iterate = step.compiled(self.net, self._update, treatment, keep_steps=param.snapshot_diff)
        self._steps: Sequence[Array] | None = None
        self._losses: deque[Array | float] = deque(maxlen=param.average_loss)
        self._in_flight: deque[Array] = deque()
        self._ended_by: Request | None = None
        log.info("solver.cpp:57", "Solver scaffolding done.")

    def _test_net(self, index: int, spec: NetSpec) -> TestNet:
        log.info("solver.cpp:190", f"Creating test net (#{index}) specified by {spec.source}")
        net = self._report.built(spec)
        test = TestNet(net, Batches(net, self.seed + index + 1), self.seed)
        test.share(self.net)
        return test

    @property
    def _hdf5(self) -> bool:
        return self.param.snapshot_format == pb.SolverParameter.HDF5

    # Training

    def solve(self) -> Outcome:
        """Trains up to max_iter, with the tests and snapshots that the settings ask for."""
        log.info("solver.cpp:289", f"Solving {self.net.name}")
        log.info("solver.cpp:290", f"Learning Rate Policy: {self.param.lr_policy}")
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

    def step(self, count: int) -> None:
        """`count` iterations, or fewer where a request ends them."""
        end = self.iter + count
        self._ended_by = None
        self._report.start(self.net, self.param, self.iter)
        while self.iter < end and self._ended_by is None:
            if self._due(self.param.test_interval) and (self.iter > 0 or self.param.test_initialization):
                self.test_all()
                if self._ended_by is not None:
                    break
            self._one_iteration()
            if self._due(self.param.snapshot):
                self.snapshot()
            self._listen()

    def _due(self, interval: int) -> bool:
        return interval > 0 and self.iter % interval == 0

    def _one_iteration(self) -> None:
        started = time.monotonic()
        rate, self.current_step = schedules.learning_rate(self.param, self.iter, self.current_step)
        done = self._advance(self.params, self.history, rate)
        self.params, self.history, self._steps = done.params, done.history, done.steps
        self._losses.append(done.loss)
        if self._due(self.param.display):
            self._report.iteration(self.iter, self._smoothed_loss(), done.outputs, rate)
            self._report.clipping(float(done.norm))
        self.iter += 1
        self._in_flight.append(done.loss)
        if len(self._in_flight) > IN_FLIGHT:
            self._report.progress(self.iter, self._in_flight.popleft().block_until_ready(), rate)
        self.requests.took("iteration", time.monotonic() - started)

    def _advance(self, params: list[Array], history: list[updates.Slots], rate: np.float32) -> Trained:
        momentum = self.param.momentum
        rates = Rates(rate * self._update.correction(self.iter, momentum), np.float32(momentum))
        return self._iterate(params, history, rates, self.batches.next, jax.random.key(self.seed % 2**32), self.iter)

    def _smoothed_loss(self) -> float:
        return float(np.mean([np.float32(loss) for loss in self._losses]))

    def _loss_after_training(self) -> float:
        """The loss of one more batch, by the step that is compiled already, on copies of what it would use up."""
        params, history = jax.tree.map(jnp.copy, (self.params, self.history))
        self._losses.append(self._advance(params, history, np.float32(0)).loss)
        return self._smoothed_loss()

    def _listen(self) -> None:
        while (request := self.requests.take()) is not None:
            if request is Request.SNAPSHOT:
                self.snapshot()
            else:
                self._ended_by = request

    # Testing

    def test_all(self) -> None:
        """Tests every test net on test_iter batches of its data."""
        for index in range(len(self.test_nets)):
            if self._ended_by is None:
                self.test(index)

    def test(self, index: int) -> Scores | None:
        """Tests one; None where a request ended it."""
        log.info("solver.cpp:347", f"Iteration {self.iter}, Testing net (#{index})")
        test = self.test_nets[index]
        scores = test.scores(self._heard(test.passes(self.params, self.param.test_iter[index])))
        if self._ended_by is not None:
            log.info("solver.cpp:387", "Test interrupted.")
            return None
        self._report.test(self.iter, index, test.net, scores, with_loss=self.param.test_compute_loss)
        return scores

    def _heard(self, passes: Iterable[Any]) -> Iterator[Any]:
        """`passes`, with requests heard before each of them; a request to stop ends them."""
        for one in passes:
            self._listen()
            if self._ended_by is not None:
                return
            yield one

    # Models and states

    def load_weights(self, path: str | Path) -> None:
        """Takes the parameters of the layers that a model has by the same names, to finetune. Raises SnapshotError."""
        log.info("caffe.cpp:150", f"Finetuning from {path}")
        self.params = [jnp.asarray(p) for p in snapshot.load_model(path, self.net, self.params)]
        for test in self.test_nets:
            test.params = snapshot.load_model(path, test.net, test.params)

    def snapshot(self) -> snapshot.Files:
        """Writes model, solver state and resume file; returns their paths. Raises SnapshotError."""
        started = time.monotonic()
        files = snapshot.Files.of(self.param.snapshot_prefix, self.iter, self._hdf5)
        kind = "HDF5" if self._hdf5 else "binary proto"
        log.info("solver.cpp:464", f"Snapshotting to {kind} file {files.model}")
        log.info("sgd_solver.cpp:284", f"Snapshotting solver state to {kind} file {files.state}")
        history = [np.asarray(slots[n]) for n in range(self._update.slots) for slots in self.history]
        state = snapshot.State(self.iter, self.current_step, history, str(files.model))
        snapshot.write(files, self.net, self.params, self._steps, state, self._resume())
        self.requests.took("snapshot", time.monotonic() - started)
        return files

    def _resume(self) -> dict[str, Any]:
        """What a resumed run needs besides Caffe's state to go on as if it had never stopped."""
        return {
            "seed": self.seed,
            "data": self.batches.state(),
            "test_data": [test.batches.state() for test in self.test_nets],
            "losses": [float(loss) for loss in self._losses],
            "run": fingerprint.of(self.param, self.net),
        }

    def restore(self, path: str | Path, *, changed: bool = False) -> None:
        """Goes on from a solver state, ours or Caffe's. `changed` allows one of another net, solver type or batch size.

        Raises SnapshotError where the state cannot be read, does not fit, or is of a run that was set up otherwise.
        """
        log.info("solver.cpp:295", f"Restoring previous solver status from {path}")
        state = snapshot.read_state(path)
        resume = snapshot.read_resume(path)
        if resume is not None and not changed:
            fingerprint.check(resume["run"], fingerprint.of(self.param, self.net), str(path))
        history = self._unflattened(state.history, path)
        if state.learned_net:
            model = snapshot.find_model(state, path)
            self.params = [jnp.asarray(p) for p in snapshot.load_model(model, self.net, self.params)]
        self.history, self.iter, self.current_step = history, state.iteration, state.current_step
        if resume is None:
            log.warning(
                "solver.cpp:296",
                f"{path} has no .resume.json beside it: the data is read from its first record again, and random "
                f"numbers, shuffling and the averaged loss start anew.",
            )
            return
        self.seed = resume["seed"]
        self._losses.extend(resume["losses"])
        self.batches.restore(resume["data"])
        for test, position in zip(self.test_nets, resume["test_data"], strict=False):
            test.batches.restore(position)

    def _unflattened(self, flat: Sequence[np.ndarray], path: str | Path) -> list[updates.Slots]:
        count, slots = len(self.net.params), self._update.slots
        if len(flat) != count * slots:
            raise SnapshotError(
                f"{path}: it has {len(flat)} arrays of history and {self.param.type} keeps {count * slots} for this "
                "net; it was written by another type of solver, or for another net."
            )
        for k, array in enumerate(flat):
            p = self.net.params[k % count]
            if array.size != np.prod(p.shape, dtype=int):
                raise SnapshotError(
                    f"{path}: the history of parameter {p.index} of layer {p.layer!r} has shape {list(array.shape)} "
                    f"there and {list(p.shape)} in this net."
                )
        shaped = [jnp.asarray(a.reshape(self.net.params[k % count].shape)) for k, a in enumerate(flat)]
        return [tuple(shaped[k::count]) for k in range(count)]

    def close(self) -> None:
        """Ends the threads that read data."""
        for batches in (self.batches, *(test.batches for test in self.test_nets)):
            batches.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
