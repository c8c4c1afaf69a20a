"""Whole trajectories of BVLC Caffe 1.0: parameters after every step, its snapshots, and two steps after a restore."""

import shutil
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from support.tiny_solver import FROZEN, GOLDEN, LEARNED, NET, MakeSolver

from engine.solver.solver import Solver

CASES = {
    "adadelta": 'type: "AdaDelta" momentum: 0.95 delta: 1e-4 weight_decay: 0.001',
    "adagrad": 'type: "AdaGrad" delta: 1e-6 weight_decay: 0.01',
    "adam": 'type: "Adam" momentum: 0.9 momentum2: 0.99 delta: 1e-6',
    "nesterov": 'type: "Nesterov" momentum: 0.9 weight_decay: 0.01',
    "rmsprop": 'type: "RMSProp" rms_decay: 0.9 delta: 1e-4',
    "sgd_fixed": "momentum: 0.9 weight_decay: 0.01",
    "sgd_frozen": "momentum: 0.9 weight_decay: 0.1",
    "sgd_hdf5": "momentum: 0.9 snapshot_format: HDF5",
    "sgd_inv_itersize": 'lr_policy: "inv" gamma: 0.1 power: 0.75 momentum: 0.9 iter_size: 2 weight_decay: 0.01',
    "sgd_l1": 'momentum: 0.5 weight_decay: 0.01 regularization_type: "L1"',
    "sgd_multistep": 'lr_policy: "multistep" gamma: 0.3 stepvalue: 2 stepvalue: 5 momentum: 0.9',
    "sgd_step_clip": 'lr_policy: "step" gamma: 0.5 stepsize: 3 momentum: 0.9 clip_gradients: 0.3 weight_decay: 0.001',
}
STEPS = 8


def _assert_params(solver: Solver, recorded: np.lib.npyio.NpzFile, prefix: str) -> None:
    for p, value in zip(solver.net.params, solver.params, strict=True):
        want = recorded[f"{prefix}/{p.layer}/{p.index}"]
        np.testing.assert_allclose(value, want, rtol=0, atol=2e-6 + 2e-5 * np.abs(want).max(), err_msg=prefix)


def _step(solver: Solver, recorded: np.lib.npyio.NpzFile, k: int) -> None:
    solver.batches.values["x"][...] = recorded[f"x/{k}"]
    solver.batches.values["t"][...] = recorded[f"t/{k}"]
    solver.step(1)


@pytest.mark.parametrize("case", CASES)
def test_every_step_equals_caffes_and_so_do_two_from_its_snapshot(case: str, make_solver: MakeSolver, tmp_path: Path):
    recorded = np.load(GOLDEN / case / "steps.npz")
    solver = make_solver(CASES[case], NET % (FROZEN if case == "sgd_frozen" else LEARNED))
    solver.params = [jnp.asarray(recorded[f"init/{p.layer}/{p.index}"]) for p in solver.net.params]
    for k in range(STEPS):
        _step(solver, recorded, k)
        _assert_params(solver, recorded, f"after/{k}")

    suffix = ".h5" if case == "sgd_hdf5" else ""
    state = shutil.copy(GOLDEN / case / f"model.solverstate{suffix}", tmp_path)
    shutil.copy(GOLDEN / case / f"model.caffemodel{suffix}", tmp_path / f"model_iter_{STEPS}.caffemodel{suffix}")
    _step(solver, recorded, 0)  # so that all of it has to come from the files
    solver.restore(state)
    assert solver.iter == STEPS
    _assert_params(solver, recorded, f"after/{STEPS - 1}")
    for k in (0, 1):
        _step(solver, recorded, k)
    _assert_params(solver, recorded, "resumed")
