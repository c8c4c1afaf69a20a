"""Several processes that train one net from Python: as one that has all their batches."""

import subprocess
import sys
import textwrap
from pathlib import Path

import caffe
import numpy as np
import pytest

from engine.errors import DeviceError

ROOT = Path(__file__).parents[4]

PROGRAM = """
import multiprocessing, os, sys
import h5py
import numpy as np
import caffe

with h5py.File("rows.h5", "w") as file:
    file["x"], file["t"] = np.arange(16, dtype="f").reshape(8, 2) / 9, np.ones((8, 1), "f")
open("list", "w").write("rows.h5")
LAYERS = '''layer { name: "d" type: "HDF5Data" top: "x" top: "t" hdf5_data_param { source: "list" batch_size: %d } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y" inner_product_param { num_output: 1
        weight_filler { type: "gaussian" } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "y" bottom: "t" top: "loss" }'''
for size in (2, 4):
    open(f"net{size}.prototxt", "w").write(LAYERS % size)
    open(f"solver{size}.prototxt", "w").write(
        f'net: "net{size}.prototxt" base_lr: 0.1 lr_policy: "fixed" momentum: 0.9 max_iter: 3 random_seed: 5 '
        f'display: 1 snapshot_prefix: "by{size}" snapshot_after_train: true')

def solve(uid, rank):
    caffe.set_solver_count(2)
    caffe.set_solver_rank(rank)
    caffe.set_multiprocess(True)
    solver = caffe.SGDSolver("solver2.prototxt")
    if rank:
        solver.net.params["ip"][0].data[...] = 7
    nccl = caffe.NCCL(solver, uid)
    nccl.bcast()
    solver.add_callback(nccl)
    solver.net.after_backward(nccl)
    solver.step({steps})
    if rank == {lost}:
        os._exit(0)
    solver.step(3 - solver.iter)
    solver.snapshot()
    np.save(f"rank{rank}.npy", solver.net.params["ip"][0].data)

if __name__ == "__main__":
    uid = caffe.NCCL.new_uid()
    processes = [multiprocessing.get_context("fork").Process(target=solve, args=(uid, rank)) for rank in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    if {lost} < 0:
        whole = caffe.SGDSolver("solver4.prototxt")
        whole.step(3)
        np.save("whole.npy", whole.net.params["ip"][0].data)
"""


def run(folder, steps=3, lost=-1):
    program = PROGRAM.replace("{steps}", str(steps)).replace("{lost}", str(lost))
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        cwd=folder,
        env={"PYTHONPATH": f"{ROOT}:{ROOT}/engine/python", "PATH": "", "GLOG_minloglevel": "0", "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_two_take_the_steps_of_one_with_batches_of_twice_the_size(tmp_path):
    done = run(tmp_path)
    assert done.returncode == 0, done.stderr
    whole, first, second = (np.load(tmp_path / f"{name}.npy") for name in ("whole", "rank0", "rank1"))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(first, whole, rtol=1e-5)
    assert len(list(tmp_path.glob("by2_iter_3.solverstate"))) == 1
    assert done.stderr.count("Iteration 0 (") == 2  # the first of the two, and the one


def test_one_that_is_lost_ends_the_other_with_an_error(tmp_path):
    assert "another of the 2 processes ended" in run(tmp_path, steps=1, lost=1).stderr


def test_a_uid_is_bytes_and_new():
    assert caffe.has_nccl()
    assert isinstance(caffe.NCCL.new_uid(), bytes)
    assert caffe.NCCL.new_uid() != caffe.NCCL.new_uid()


def test_alone_it_waits_for_nobody_and_changes_nothing(tmp_path):
    class One:
        class net:
            _owned = ()

    caffe.NCCL(One, caffe.NCCL.new_uid()).on_gradients_ready()
    with pytest.raises(DeviceError, match="not a uid"):
        caffe.NCCL(One, "../x")
