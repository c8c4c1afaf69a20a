"""Names of files as programs give them: text, bytes, paths, and numpy's of them; other things are told from them."""

import os

import caffe
import numpy as np
import pytest
from caffe.proto import caffe_pb2

NET = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y" include { stage: "deploy" }
        inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
"""
SOLVER = 'net_param { layer { name: "d" type: "DummyData" top: "d" dummy_data_param { shape { dim: 1 } } } } base_lr: 1'


@pytest.mark.parametrize(
    "kind", [str, os.fsencode, np.str_, lambda name: np.bytes_(os.fsencode(name)), lambda path: path]
)
def test_every_call_takes_a_name_of_any_kind(tmp_path, kind):
    def name(file):
        return kind(tmp_path / file if kind is not np.str_ else str(tmp_path / file))

    (tmp_path / "net.prototxt").write_text(NET)
    (tmp_path / "solver.prototxt").write_text(SOLVER + ' lr_policy: "fixed" max_iter: 1')
    stages = [b"deploy" if isinstance(name("x"), bytes) else "deploy"]
    net = caffe.Net(name("net.prototxt"), caffe.TEST, stages=stages)
    weights = net.params["ip"][0].data.copy()
    net.save(name("net.caffemodel"))
    net.save_hdf5(name("net.h5"))
    for saved, load in (("net.caffemodel", net.copy_from), ("net.h5", net.load_hdf5)):
        net.params["ip"][0].data[...] = 0
        load(name(saved))
        assert (net.params["ip"][0].data == weights).all()
    again = caffe.Net(name("net.prototxt"), caffe.TEST, stages=stages, weights=name("net.caffemodel"))
    assert (again.params["ip"][0].data == weights).all()
    assert list(caffe.Net(name("net.prototxt"), name("net.caffemodel"), caffe.TEST).blobs) == ["x"]
    solver = caffe.get_solver(name("solver.prototxt"))
    assert isinstance(solver, caffe.SGDSolver)
    assert caffe.AdamSolver(name("solver.prototxt")).param.type == "Adam"


def test_solvers_take_states_by_bytes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "solver.prototxt").write_text(SOLVER + ' lr_policy: "fixed" max_iter: 3')
    solver = caffe.SGDSolver(b"solver.prototxt")
    solver.step(2)
    solver.snapshot()
    again = caffe.SGDSolver(b"solver.prototxt")
    again.restore(b"_iter_2.solverstate")
    assert again.iter == 2
    caffe.SGDSolver(b"solver.prototxt").solve(b"_iter_2.solverstate")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: caffe.Net(caffe_pb2.NetParameter(), caffe.TEST),
            "caffe.Net takes the name of a file, not NetP",
        ),
        (
            lambda: caffe.SGDSolver(caffe_pb2.SolverParameter()),
            "SGDSolver takes the name of a file, not Solver",
        ),
        (lambda: caffe.get_solver(None), "get_solver takes the name of a file, not NoneType"),
    ],
)
def test_what_is_no_name_is_told(call, message):
    with pytest.raises(TypeError, match=message):
        call()
