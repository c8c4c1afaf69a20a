"""Caffe's solvers as Python objects, on `engine.solver.Solver`."""

from collections.abc import Callable
from functools import partial
from math import inf
from operator import index
from typing import Any, ClassVar

from engine.blob import Blob, Uncopied
from engine.devices.data_parallel import DataParallel
from engine.errors import SolverError
from engine.proto import text

from . import mode
from .errors import ArgumentError
from .files import File, named
from .net import Net
from .stepping import OpenSolver


class Solver(Uncopied):
    """A solver for the nets and settings in a solver file.

    net: the train net; test_nets: the test nets, which use its parameters. They read the solver's own data. Between
    steps, programs may fill the blobs of Input layers and write into parameters. After a step, the blobs of `net` hold
    what its last iteration computed, the diffs of parameters the steps subtracted from them, and the blobs of test nets
    their last test batch. param: the settings; base_lr, momentum and gamma may be changed too.
    """

    type: ClassVar[str | None] = None
    """The update rule; None: the one in the file."""

    def __init__(self, solver_file: File) -> None:
        """Raises PrototxtError, SolverError, NetError."""
        file = named(solver_file, type(self).__name__)
        self.param = text.read_solver(file)
        if self.type is not None:
            self.param.type = self.type
        count, rank = mode.solver_count(), mode.solver_rank()
        if self.param.random_seed < 0:
            self.param.random_seed = mode.next_seed() % 2**31
        else:
            mode.set_random_seed(self.param.random_seed + rank)
        if rank >= count:
            raise SolverError(f"this is solver {rank} of {count}: ranks start at 0. Call set_solver_count first.")
        parallel = DataParallel.one_of(count, rank)
        self._solver = OpenSolver(self.param, file, parallel=parallel, keep_values=True)
        net = self._solver.net
        self._view = Net._around(net, [Blob(*p.shape) for p in net.params], self._solver.batches)
        self._solver.view, self._solver.callbacks = self._view, []
        self._test_views = [self._test_net(i) for i in range(len(self._solver.test_nets))]
        self._show()

    def _test_net(self, index: int) -> Net:
        test = self._solver.test_nets[index]
        net = Net._around(test.net, [Blob(*p.shape) for p in test.net.params], test.batches)
        for blob, value in zip(net._owned, test.params, strict=True):
            blob.data[...] = value
        net.share_with(self._view)
        return net

    @property
    def net(self) -> Net:
        return self._view

    @property
    def test_nets(self) -> list[Net]:
        return self._test_views

    @property
    def iter(self) -> int:
        """The number of updates so far."""
        return self._solver.iter

    @property
    def lr(self) -> float:
        """The learning rate of the next iteration. Setting it scales base_lr."""
        return float(self._solver.learning_rate())

    @lr.setter
    def lr(self, rate: float) -> None:
        if not 0 <= rate < inf:
            raise SolverError(f"lr: {rate} is not a learning rate; it must be 0 or more.")
        base, self.param.base_lr = self.param.base_lr, 1.0
        factor = self.lr
        if not factor:
            self.param.base_lr = base
            raise SolverError(
                f"lr: at iteration {self.iter}, lr_policy {self.param.lr_policy!r} gives 0 for any base_lr."
            )
        self.param.base_lr = rate / factor

    def step(self, iterations: int) -> None:
        """Runs `iterations` iterations, with the tests, displays and snapshots that are due."""
        count = index(iterations)
        self._take()
        try:
            self._solver.step(count)
        finally:
            self._show()

    def solve(self, resume_file: File | None = None) -> None:
        """Trains up to max_iter, resuming from a solver state if one is given."""
        if resume_file is not None:
            self.restore(resume_file)
        self._take()
        try:
            self._solver.solve()
        finally:
            self._show()

    def apply_update(self) -> None:
        """Updates the parameters with the gradients in their diffs. This counts as an iteration."""
        self._take()
        self._solver.apply_update([blob.gradient() for blob in self.net._owned])
        self._show()

    def add_callback(self, on_start: Any, on_gradients_ready: Callable[[], Any] | None = None) -> None:
        """Adds two functions to be called in each iteration, before its passes and before its update.

        A single object that has both, such as an NCCL, may be given instead.
        """
        if on_gradients_ready is None:
            if not hasattr(on_start, "on_gradients_ready"):
                raise ArgumentError("add_callback takes two functions, or an object with on_start, on_gradients_ready.")
            on_start, on_gradients_ready = on_start.on_start, on_start.on_gradients_ready
        self._solver.callbacks.append((on_start, on_gradients_ready))

    def share_weights(self, net: Net) -> None:
        """Makes `net` share the parameters of `self.net`, by layer name. Raises NetError."""
        if not isinstance(net, Net):
            raise ArgumentError(f"share_weights takes a net, not {type(net).__name__}.")
        net.share_with(self.net)

    def snapshot(self) -> None:
        """Writes the model and the solver state to files named by snapshot_prefix. Raises SnapshotError."""
        self._take()
        self._solver.snapshot()

    def restore(self, state_file: File) -> None:
        """Loads a solver state, from which training then continues. Raises SnapshotError."""
        self._solver.restore(named(state_file, "restore"))
        self._show()

    def _take(self) -> None:
        """Hands the solver what the program wrote into parameters and inputs."""
        self._solver.params = [blob.value() for blob in self.net._owned]
        for net, test in zip(self.test_nets, self._solver.test_nets, strict=True):
            test.params = [blob.value() for blob in net._owned]
            test.batches.values.update(net._passes.written(test.batches))
        self._solver.batches.values.update(self.net._passes.written(self._solver.batches))

    def _show(self) -> None:
        """Hands the nets the solver's parameters and what the last iteration computed."""
        solver = self._solver
        self.net.show_update(solver.params, solver.steps or ())
        if solver.values and solver.before:
            self.net._passes.adopt(
                solver.values, solver.before, partial(solver.pass_key, solver.iter - 1, self.param.iter_size - 1)
            )
            solver.values = solver.before = None
        for net, test in zip(self.test_nets, solver.test_nets, strict=True):
            if test.computed:
                net._passes.show(test.computed)
                test.computed = {}


class SGDSolver(Solver):
    """Stochastic gradient descent with momentum, whatever type the file names. The classes below work alike."""

    type = "SGD"


class NesterovSolver(SGDSolver):
    type = "Nesterov"


class AdaGradSolver(SGDSolver):
    type = "AdaGrad"


class RMSPropSolver(SGDSolver):
    type = "RMSProp"


class AdaDeltaSolver(SGDSolver):
    type = "AdaDelta"


class AdamSolver(SGDSolver):
    type = "Adam"


def get_solver(solver_file: File) -> Solver:
    """A solver of the type named in its file."""
    kinds = (SGDSolver, NesterovSolver, AdaGradSolver, RMSPropSolver, AdaDeltaSolver, AdamSolver)
    rule = text.read_solver(named(solver_file, "get_solver")).type
    return next((kind for kind in kinds if kind.type == rule), Solver)(solver_file)
