"""Caffe's solvers as Python objects, on `engine.solver.Solver`."""

from pathlib import Path
from typing import ClassVar

import engine.solver.solver
from engine.blob import Blob
from engine.proto import text

from . import mode
from .pycaffe import Net


class Solver:
    """A solver file, opened.

    net: the net that is trained; test_nets: those that are tested, on its parameters. Fill the blobs of Input layers
    and write into parameters between steps. After a step the net's blobs hold what its last iteration computed, and the
    diffs of parameters what it took off them. param: the settings; base_lr, momentum and gamma may be changed too.
    """

    type: ClassVar[str | None] = None
    """Which update rule; None: the file says."""

    def __init__(self, solver_file: str | Path) -> None:
        """Raises PrototxtError, SolverError, NetError."""
        self.param = text.read_solver(solver_file)
        if self.type is not None:
            self.param.type = self.type
        if self.param.random_seed < 0:
            self.param.random_seed = mode.next_seed() % 2**31
        self._solver = engine.solver.solver.Solver(self.param, solver_file, keep_values=True)
        self.net = Net._around(self._solver.net, [Blob(*p.shape) for p in self._solver.net.params])
        self.test_nets = [self._test_net(i) for i in range(len(self._solver.test_nets))]
        self._show()

    def _test_net(self, index: int) -> Net:
        test = self._solver.test_nets[index]
        net = Net._around(test.net, [Blob(*p.shape) for p in test.net.params])
        for blob, value in zip(net._owned, test.params, strict=True):
            blob.data[...] = value
        net.share_with(self.net)
        return net

    @property
    def iter(self) -> int:
        """How many updates there have been."""
        return self._solver.iter

    def step(self, iterations: int) -> None:
        """Runs so many iterations, with the tests, displays and snapshots that fall due."""
        self._take()
        try:
            self._solver.step(iterations)
        finally:
            self._show()

    def solve(self, resume_file: str | Path | None = None) -> None:
        """Runs up to max_iter, from a solver state if one is given."""
        if resume_file is not None:
            self.restore(resume_file)
        self._take()
        try:
            self._solver.solve()
        finally:
            self._show()

    def snapshot(self) -> None:
        """Writes the model and the solver state under snapshot_prefix. Raises SnapshotError."""
        self._take()
        self._solver.snapshot()

    def restore(self, state_file: str | Path) -> None:
        """Goes on from a solver state. Raises SnapshotError."""
        self._solver.restore(state_file)
        self._show()

    def _take(self) -> None:
        """The solver gets what was written into parameters and inputs."""
        self._solver.params = [blob.value() for blob in self.net._owned]
        for net, batches in zip(
            (self.net, *self.test_nets),
            (self._solver.batches, *(test.batches for test in self._solver.test_nets)),
            strict=True,
        ):
            batches.values.update({name: net.blobs[name].data for name in net.inputs})

    def _show(self) -> None:
        """The net gets the solver's parameters, and what the last iteration computed."""
        solver = self._solver
        for blob, value in zip(self.net._owned, solver.params, strict=True):
            blob.put(value)
        for blob, step in zip(self.net._owned, solver.steps or (), strict=False):
            blob.put_gradient(step)
        self.net._put(solver.values or {})


class SGDSolver(Solver):
    """Stochastic gradient descent with momentum, whatever type the file names; as those below, each its own."""

    type = "SGD"


class NesterovSolver(Solver):
    type = "Nesterov"


class AdaGradSolver(Solver):
    type = "AdaGrad"


class RMSPropSolver(Solver):
    type = "RMSProp"


class AdaDeltaSolver(Solver):
    type = "AdaDelta"


class AdamSolver(Solver):
    type = "Adam"


def get_solver(solver_file: str | Path) -> Solver:
    """A solver of the type that its file names."""
    return Solver(solver_file)
