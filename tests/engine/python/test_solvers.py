"""caffe.get_solver and the solver classes: steps, what they leave in blobs, snapshots, restores."""

import caffe
import numpy as np
import pytest

NET = """
layer { name: "x" type: "Input" top: "x" top: "t" input_param { shape { dim: 2 dim: 3 } shape { dim: 2 dim: 1 } } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y"
        inner_product_param { num_output: 1 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "y" bottom: "t" top: "loss" }
"""
SOLVER = 'net: "net.prototxt" base_lr: 0.1 lr_policy: "fixed" snapshot_prefix: "small" random_seed: 3 '
X, T = np.float32([[1, 2, 3], [0, -1, 1]]), np.float32([[1], [2]])


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.prototxt").write_text(NET)


def solver(more="", kind=caffe.get_solver):
    with open("solver.prototxt", "w") as file:  # noqa: PTH123
        file.write(SOLVER + more)
    made = kind("solver.prototxt")
    made.net.blobs["x"].data[...], made.net.blobs["t"].data[...] = X, T
    return made


def gradient(w, b):
    error = X @ w.T + b - T
    return error.T @ X / 2, error.mean(0), (error**2).sum() / 4


def test_a_step_takes_what_was_written_and_leaves_what_it_computed():
    s = solver()
    w, b = (p.data for p in s.net.params["ip"])
    w[...], b[...] = 1, 0
    to_w, to_b, loss = gradient(w.copy(), b.copy())
    s.step(1)
    assert s.iter == 1
    np.testing.assert_allclose(w, 1 - 0.1 * to_w, rtol=1e-5)
    np.testing.assert_allclose(s.net.blobs["loss"].data, loss, rtol=1e-5)
    np.testing.assert_allclose(s.net.blobs["y"].data, X @ np.ones((3, 1)), rtol=1e-5)
    np.testing.assert_allclose(s.net.params["ip"][1].diff, 0.1 * to_b, rtol=1e-5)


def test_forward_after_a_step_has_the_new_parameters():
    s = solver()
    s.step(2)
    w, b = (p.data for p in s.net.params["ip"])
    np.testing.assert_allclose(s.net.forward()["loss"], gradient(w, b)[2], rtol=1e-5)


def test_settings_can_be_changed_between_steps():
    s = solver()
    s.step(1)
    s.param.base_lr = 0
    before = s.net.params["ip"][0].data.copy()
    s.step(1)
    np.testing.assert_array_equal(s.net.params["ip"][0].data, before)


def test_a_restored_solver_goes_on_as_the_first(tmp_path):
    first = solver('momentum: 0.9 type: "Nesterov"')
    first.step(2)
    first.snapshot()
    first.step(2)
    second = solver('momentum: 0.9 type: "Nesterov"')
    second.restore("small_iter_2.solverstate")
    assert second.iter == 2
    second.step(2)
    np.testing.assert_array_equal(second.net.params["ip"][0].data, first.net.params["ip"][0].data)


def test_solve_runs_to_the_end():
    s = solver("max_iter: 3")
    s.solve()
    assert s.iter == 3


def test_test_nets_have_the_parameters_of_the_trained_one():
    s = solver("test_iter: 1 test_interval: 10 test_initialization: false")
    s.step(1)
    (test,) = s.test_nets
    np.testing.assert_array_equal(test.params["ip"][0].data, s.net.params["ip"][0].data)
    w, b = (p.data for p in s.net.params["ip"])
    np.testing.assert_allclose(test.forward(x=X, t=T)["loss"], gradient(w, b)[2], rtol=1e-5)


@pytest.mark.parametrize("kind", ["SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam"])
def test_a_class_has_its_own_update_rule(kind):
    made = solver('type: "SGD" delta: 1e-8', getattr(caffe, f"{kind}Solver"))
    assert made.param.type == kind
    made.step(1)
