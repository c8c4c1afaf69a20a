"""What leaves a net for the host (HDF5Output), and nets whose sizes depend on data (Filter), in training and tests."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from support.tiny_solver import LEARNED, NET, MakeSolver, feed, train, values

from engine.errors import LayerError
from engine.solver.control.requests import Request

SUNK = (
    NET % LEARNED
    + 'layer { name: "out" type: "HDF5Output" bottom: "x" bottom: "t" include { phase: %s } '
    + 'hdf5_output_param { file_name: "%s" } }'
)
TESTED = "test_iter: 3 test_interval: 100 test_initialization: false"


def _rows(path: Path) -> np.ndarray:
    with h5py.File(path) as file:
        assert len(file["data"]) == len(file["label"])
        return file["data"][:, :, 0, 0]


@pytest.mark.parametrize("iter_size", [1, 2])
def test_training_writes_every_batch_once_the_solver_is_closed(iter_size: int, make_solver: MakeSolver, tmp_path: Path):
    solver = make_solver(f"iter_size: {iter_size} display: 1", SUNK % ("TRAIN", "out.h5"))
    want = []
    with solver:
        for k in range(3):
            feed(solver, k)
            solver.step(1)
            want += [solver.batches.values["x"].copy()] * iter_size
        assert not (tmp_path / "out.h5").exists()
    np.testing.assert_array_equal(_rows(tmp_path / "out.h5"), np.concatenate(want))
    assert [p.name for p in tmp_path.iterdir()] == ["out.h5"]


def test_each_test_writes_its_file_anew(make_solver: MakeSolver, tmp_path: Path):
    solver = make_solver(TESTED, SUNK % ("TEST", "out.h5"))
    for value in (1, 2):
        solver.test_nets[0].batches.values["x"][...] = value
        solver.test(0)
        np.testing.assert_array_equal(_rows(tmp_path / "out.h5"), np.full((3 * 8, 6), value))


def test_an_interrupted_test_leaves_the_older_file(make_solver: MakeSolver, tmp_path: Path):
    solver = make_solver(TESTED, SUNK % ("TEST", "out.h5"))
    (tmp_path / "out.h5").write_text("older")
    solver.requests.add(Request.STOP)
    assert solver.test(0) is None
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("out.h5", "older")]


def test_a_file_that_cannot_be_written_is_named_with_its_layer(make_solver: MakeSolver):
    solver = make_solver("", SUNK % ("TRAIN", "nowhere/out.h5"))
    with pytest.raises(LayerError, match=r'layer "out" \(HDF5Output\): nowhere/out\.h5: cannot be written'):
        solver.step(1)


FILTERED = """
layer { name: "in" type: "Input" top: "x" top: "t" input_param { shape { dim: 8 dim: 6 } shape { dim: 8 } } }
layer { name: "keep" type: "Power" bottom: "t" top: "keep" }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y" inner_product_param { num_output: 4
  weight_filler { type: "gaussian" std: 0.5 } } }
layer { name: "filter" type: "Filter" bottom: "y" bottom: "t" bottom: "keep" top: "fy" top: "ft" }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fy" bottom: "ft" top: "loss"
  propagate_down: true propagate_down: false }
"""


@pytest.mark.parametrize("iter_size", [1, 2])
def test_a_net_whose_sizes_depend_on_data_is_trained(iter_size: int, make_solver: MakeSolver):
    """Label 0 filtered out: the step of a softmax over the rows that remain, as many as the batch happens to have."""
    solver = make_solver(f"base_lr: 0.5 momentum: 0 iter_size: {iter_size}", FILTERED)
    for k in range(3):
        feed(solver, k)
        x, t = (solver.batches.values[name].copy() for name in "xt")
        w, b = values(solver)
        solver.step(1)
        rows, labels = x[t != 0], t[t != 0].astype(int)
        p = np.exp(rows @ w.T + b)
        g = p / p.sum(1, keepdims=True) - np.eye(4)[labels]
        np.testing.assert_allclose(solver.params[0], w - 0.5 * g.T @ rows / len(rows), atol=1e-6)
        np.testing.assert_allclose(solver.params[1], b - 0.5 * g.sum(0) / len(rows), atol=1e-6)


def test_such_a_net_resumes_exactly(make_solver: MakeSolver):
    through = make_solver("momentum: 0.9", FILTERED)
    train(through, 2)
    state = through.snapshot().state
    train(through, 4)
    resumed = make_solver("momentum: 0.9", FILTERED)
    resumed.restore(state)
    train(resumed, 4)
    for a, b in zip(values(through), values(resumed), strict=True):
        np.testing.assert_array_equal(a, b)
