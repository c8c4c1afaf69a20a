"""caffe.get_solver and the solver classes: steps, what they leave in blobs, snapshots, restores."""

import sys

import caffe
import h5py
import numpy as np
import pytest

from engine.errors import LayerError, SolverError

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


def test_a_class_is_the_one_that_the_file_names():
    assert type(solver('type: "Adam"')) is caffe.AdamSolver
    assert isinstance(solver('type: "Nesterov"'), caffe.SGDSolver)


def test_an_update_takes_what_the_diffs_hold():
    s = solver()
    w = s.net.params["ip"][0]
    w.data[...], w.diff[...] = 0, 1
    s.apply_update()
    np.testing.assert_allclose(w.data, np.full((1, 3), -0.1), rtol=1e-6)
    assert s.iter == 1


def test_own_passes_and_an_update_are_a_step():
    one, other = solver("momentum: 0.9"), solver("momentum: 0.9")
    for _ in range(3):
        one.step(1)
        other.net.clear_param_diffs()
        other.net.forward()
        other.net.backward()
        other.apply_update()
    np.testing.assert_allclose(one.net.params["ip"][0].data, other.net.params["ip"][0].data, rtol=1e-5)


def test_the_learning_rate_is_read_and_set_between_steps():
    s = solver()
    assert s.lr == pytest.approx(0.1)
    s.lr = 0
    before = s.net.params["ip"][0].data.copy()
    s.step(1)
    np.testing.assert_array_equal(s.net.params["ip"][0].data, before)
    s.lr = 0.3
    assert s.lr == pytest.approx(0.3)
    with pytest.raises(SolverError, match="nan is not a learning rate"):
        s.lr = float("nan")


def test_callbacks_come_before_the_passes_and_before_the_update():
    s, plain, told = solver("iter_size: 2"), solver("iter_size: 2"), []
    s.add_callback(
        lambda: told.append(("start", s.net.params["ip"][0].diff.any())),
        lambda: told.append(("ready", s.net.params["ip"][1].diff.copy())),
    )
    w, b = (p.data.copy() for p in s.net.params["ip"])
    s.step(2)
    plain.step(2)
    assert [what for what, _ in told] == ["start", "ready", "start", "ready"]
    assert not told[0][1]
    assert not told[2][1], "gradients are cleared before on_start"
    np.testing.assert_allclose(told[1][1], 2 * gradient(w, b)[1], rtol=1e-5)
    np.testing.assert_allclose(s.net.params["ip"][0].data, plain.net.params["ip"][0].data, rtol=1e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s: s.add_callback(3), "add_callback takes two functions, or an object"),
        (lambda s: s.share_weights(3), "share_weights takes a net, not int"),
    ],
)
def test_other_kinds_of_arguments_are_refused(call, message):
    with pytest.raises(TypeError, match=message):
        call(solver())


DROPPED = NET.replace('bottom: "y"', 'bottom: "z"').replace(
    'layer { name: "loss"', 'layer { name: "drop" type: "Dropout" bottom: "y" top: "z" }\nlayer { name: "loss"'
)


def test_an_iteration_that_is_looked_into_draws_the_same_random_numbers(tmp_path):
    (tmp_path / "net.prototxt").write_text(DROPPED)
    plain, watched = solver("iter_size: 3"), solver("iter_size: 3")
    watched.add_callback(lambda: None, lambda: None)
    for s in (plain, watched):
        s.step(3)
    np.testing.assert_array_equal(watched.net.blobs["z"].data, plain.net.blobs["z"].data)
    np.testing.assert_allclose(watched.net.params["ip"][0].data, plain.net.params["ip"][0].data, rtol=1e-5)


def test_passes_after_a_solver_with_a_seed_draw_the_same_random_numbers(tmp_path):
    (tmp_path / "net.prototxt").write_text(
        DROPPED.replace("dim: 2 dim: 3", "dim: 64 dim: 3").replace("dim: 2 dim: 1", "dim: 64 dim: 1")
    )

    def drawn():
        net = caffe.get_solver("solver.prototxt").net
        net.blobs["x"].data[...], net.blobs["t"].data[...] = 1, 0
        net.forward()
        return net.blobs["z"].data.copy()

    (tmp_path / "solver.prototxt").write_text(SOLVER)
    np.testing.assert_array_equal(drawn(), drawn())


def test_a_callback_may_change_the_gradients():
    s = solver()
    s.add_callback(lambda: None, s.net.clear_param_diffs)
    before = s.net.params["ip"][0].data.copy()
    s.step(2)
    np.testing.assert_array_equal(s.net.params["ip"][0].data, before)


@pytest.mark.parametrize("held", [False, True])
def test_a_step_leaves_the_gradients_of_blobs(held):
    s = solver()
    w, b = (p.data.copy() for p in s.net.params["ip"])
    diff = s.net.blobs["y"].diff if held else None
    s.step(1)
    np.testing.assert_allclose(s.net.blobs["y"].diff if diff is None else diff, (X @ w.T + b - T) / 2, rtol=1e-5)


def test_steps_take_what_was_written_into_constant_dummy_data(tmp_path):
    plain = solver()
    (tmp_path / "net.prototxt").write_text(
        NET.replace('"Input"', '"DummyData"').replace("input_param", "dummy_data_param")
    )
    s = solver()
    for each in (plain, s):
        each.net.params["ip"][0].data[...] = 1
        each.step(2)
    np.testing.assert_array_equal(s.net.blobs["x"].data, X)
    np.testing.assert_allclose(s.net.params["ip"][0].data, plain.net.params["ip"][0].data, rtol=1e-5)


def test_inputs_may_have_another_size_in_the_next_step():
    s = solver()
    w, b = (p.data.copy() for p in s.net.params["ip"])
    s.step(1)
    for name, rows in ("x", X[:1]), ("t", T[:1]):
        s.net.blobs[name].reshape(*rows.shape)
        s.net.blobs[name].data[...] = rows
    np.testing.assert_allclose(s.net.blobs["y"].diff, (X @ w.T + b - T) / 2, rtol=1e-5)
    s.net.reshape()
    w, b = (p.data.copy() for p in s.net.params["ip"])
    s.step(1)
    np.testing.assert_allclose(s.net.blobs["y"].diff, X[:1] @ w.T + b - T[:1], rtol=1e-5)


DATA = """
layer { name: "d" type: "HDF5Data" top: "x" top: "t" hdf5_data_param { source: "list" batch_size: 1 } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y" inner_product_param { num_output: 1 } }
layer { name: "loss" type: "EuclideanLoss" bottom: "y" bottom: "t" top: "loss" }
"""


def reading(more="test_iter: 2 test_interval: 10 test_initialization: false"):
    with h5py.File("rows.h5", "w") as file:
        file["x"], file["t"] = np.arange(8, dtype="f").reshape(8, 1), np.ones((8, 1), "f")
    with open("list", "w") as file, open("data.prototxt", "w") as net:  # noqa: PTH123
        file.write("rows.h5\n")
        net.write(DATA)
    with open("solver.prototxt", "w") as file:  # noqa: PTH123
        file.write(SOLVER.replace("net.prototxt", "data.prototxt") + more)
    return caffe.get_solver("solver.prototxt")


def test_passes_and_steps_read_one_stream():
    s, seen = reading(), []
    for act in (s.net.forward, lambda: s.step(1), s.net.forward, lambda: s.step(2), s.net.forward):
        act()
        seen.append(float(s.net.blobs["x"].data.item()))
    assert seen == [0, 1, 2, 4, 5]


def test_a_snapshot_goes_on_behind_the_passes_too():
    s = reading()
    s.step(1)
    s.net.forward()
    s.snapshot()
    again = reading()
    again.restore("small_iter_1.solverstate")
    again.step(1)
    assert again.net.blobs["x"].data == 2


def test_a_test_leaves_its_last_batch():
    s = reading("test_iter: 2 test_interval: 1")
    s.step(1)
    (test,) = s.test_nets
    assert test.blobs["x"].data == 1
    np.testing.assert_allclose(test.blobs["loss"].data, 0.5, rtol=1e-5)
    assert test.forward()["loss"] is not None
    assert test.blobs["x"].data == 2


USER = '''
import caffe


class Data(caffe.Layer):
    value = calls = 0

    def setup(self, bottom, top):
        top[0].reshape(2, 3)
        top[1].reshape(2, 1)

    def reshape(self, bottom, top):
        pass

    def forward(self, bottom, top):
        self.calls += 1
        top[0].data[...] = self.value
        top[1].data[...] = 0


class Half(caffe.Layer):
    """x / 2, and what an error in the third call is told as."""

    calls = 0

    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom, top):
        self.calls += 1
        if self.calls == 3:
            raise KeyError("third")
        top[0].data[...] = bottom[0].data / 2

    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[...] = top[0].diff / 2
'''
WITH_USER = """
layer { name: "d" type: "Python" top: "x" top: "t" python_param { module: "user" layer: "Data" } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y" inner_product_param { num_output: 1
        weight_filler { type: "xavier" } } }
layer { name: "half" type: "Python" bottom: "y" top: "h" python_param { module: "user" layer: "Half" } }
layer { name: "loss" type: "EuclideanLoss" bottom: "h" bottom: "t" top: "loss" }
"""


@pytest.fixture
def with_user(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "user.py").write_text(USER)
    (tmp_path / "net.prototxt").write_text(WITH_USER)
    (tmp_path / "solver.prototxt").write_text(SOLVER)
    yield caffe.SGDSolver("solver.prototxt")
    sys.modules.pop("user", None)


def test_a_users_layer_is_called_when_its_batch_is_used(with_user):
    s, trained = with_user, []
    for value in (1, 2):
        s.net.layers[0].value = value
        s.step(1)
        trained.append(float(s.net.blobs["x"].data[0, 0]))
    assert (trained, s.net.layers[0].calls) == ([1, 2], 2)


def test_a_step_goes_back_through_a_users_layer(with_user):
    s = with_user
    s.net.layers[0].value = 1
    w, b = (p.data.copy() for p in s.net.params["ip"])
    s.step(1)
    h = (w.sum() + b[0]) / 2
    np.testing.assert_allclose(s.net.blobs["h"].diff, np.full((2, 1), h / 2), rtol=1e-5)
    np.testing.assert_allclose(s.net.params["ip"][0].data, w - 0.1 * h / 2, rtol=1e-5)


def test_an_error_of_a_users_layer_names_it_in_any_call_and_is_told_once(with_user):
    with_user.step(2)
    with pytest.raises(LayerError, match=r'"half" \(Python\): KeyError: \'third\' \(.*user.py:\d+, in forward\)'):
        with_user.step(1)
    with_user.step(1)
    assert with_user.iter == 3


def test_the_fine_tuning_recipe(tmp_path):
    first = solver("max_iter: 1")
    first.solve()
    pretrained = caffe.Net("net.prototxt", "small_iter_1.caffemodel")
    for weights in ("small_iter_1.caffemodel", pretrained):
        s = solver("max_iter: 1")
        s.net.copy_from(weights)
        np.testing.assert_array_equal(s.net.params["ip"][0].data, first.net.params["ip"][0].data)
        s.solve()
        assert s.iter == 1
