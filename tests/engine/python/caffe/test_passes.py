"""Passes over an open net: layers that compute on the host between compiled ones, hooks, sizes that values decide."""

import sys

import caffe
import numpy as np
import pytest

from engine.errors import LayerError

MODULE = '''
import caffe


class Rows(caffe.Layer):
    """The rows that begin with more than 0; as proposals or hard examples."""

    def setup(self, bottom, top):
        self.seen = []

    def reshape(self, bottom, top):
        top[0].reshape(max(1, int((bottom[0].data[:, 0] > 0).sum())), bottom[0].data.shape[1])

    def forward(self, bottom, top):
        self.rows = bottom[0].data[:, 0] > 0
        top[0].data[...] = bottom[0].data[self.rows]
        self.seen.append((bottom[0], top[0]))

    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[...] = 0
        bottom[0].diff[self.rows] = top[0].diff


class Targets(caffe.Layer):
    """As the anchors' labels: their shape is known to forward alone."""

    def setup(self, bottom, top):
        top[0].reshape(*bottom[0].shape)

    def reshape(self, bottom, top):
        pass

    def forward(self, bottom, top):
        top[0].reshape(*bottom[0].shape)
        top[0].data[...] = bottom[0].data.size

    def backward(self, top, propagate_down, bottom):
        pass


class Sized(caffe.Layer):
    """As layers whose owner changes what they make between passes."""

    rows = 1

    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        top[0].reshape(self.rows, bottom[0].shape[1])


class Twice(caffe.Layer):
    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom, top):
        top[0].data[...] = 2 * bottom[0].data

    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[...] = 2 * top[0].diff
'''
X = np.float32([[1, 2], [-1, 3], [4, -5]])


def python_layer(name, bottom, top):
    return (
        f'layer {{ name: "{name}" type: "Python" bottom: "{bottom}" top: "{top}" '
        f'python_param {{ module: "open_layers" layer: "{name}" }} }}'
    )


INPUT = 'force_backward: true layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 3 dim: 2 } } }'
SCALED = 'layer { name: "s" type: "Power" bottom: "%s" top: "%s" power_param { scale: 3 } }'


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    (tmp_path / "open_layers.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    sys.modules.pop("open_layers", None)


def net(*layers, phase=caffe.TRAIN):
    with open("net.prototxt", "w") as file:  # noqa: PTH123
        file.write("\n".join((INPUT, *layers)))
    return caffe.Net("net.prototxt", phase)


def test_values_decide_how_large_a_users_tops_are():
    n = net(python_layer("Rows", "x", "r"), SCALED % ("r", "y"))
    for x in (X, -X, X):
        chosen = x[x[:, 0] > 0]
        np.testing.assert_array_equal(n.forward(x=x)["y"], 3 * chosen)
        n.blobs["y"].diff[...] = 1
        np.testing.assert_array_equal(n.backward()["x"][:, 0], 3 * (x[:, 0] > 0))


def test_reshape_asks_a_users_layer_for_its_shapes():
    n = net(python_layer("Sized", "x", "r"), SCALED % ("r", "y"))
    n.layers[1].rows = 5
    n.blobs["x"].reshape(3, 7)
    n.reshape()
    assert (n.blobs["r"].shape, n.blobs["y"].shape) == ((5, 7), (5, 7))


def test_a_users_layer_gets_the_blobs_of_the_net():
    n = net(python_layer("Rows", "x", "r"))
    n.forward(x=X)
    assert n.layers[1].seen == [(n.blobs["x"], n.blobs["r"])]


def test_a_users_layer_in_place_goes_back_through_what_it_was_given():
    n = net('layer { name: "p" type: "Power" bottom: "x" top: "h" power_param { power: 2 } }',
            'layer { name: "e" type: "ReLU" bottom: "h" top: "h" }',
            python_layer("Twice", "h", "h"))  # fmt: skip
    np.testing.assert_allclose(n.forward(x=X)["h"], 2 * X**2, rtol=1e-5)
    n.blobs["h"].diff[...] = 1
    np.testing.assert_allclose(n.backward()["x"], 4 * X, rtol=1e-5)


def test_a_pass_that_begins_behind_a_split_reads_what_was_written_before_it():
    n = net(SCALED % ("x", "a"), (SCALED % ("x", "b")).replace('"s"', '"t"'))
    n.forward(x=X)
    held = n.blobs["x_x_0_split_1"].data
    n.blobs["x"].data[...] = 5
    np.testing.assert_array_equal(n.forward(start="s")["b"], np.full((3, 2), 15))
    np.testing.assert_array_equal(held, n.blobs["x"].data)
    n.blobs["x"].reshape(4, 2)
    assert n.blobs["x_x_0_split_1"].data.shape == (3, 2)
    assert n.forward(x=np.ones((4, 2)))["a"].shape == (4, 2)
    np.testing.assert_array_equal(n.blobs["x_x_0_split_1"].data, np.ones((4, 2)))


def test_a_split_top_that_is_overwritten_in_place_has_its_own_values():
    n = net('layer { name: "two" type: "Split" bottom: "x" top: "a" top: "b" }', SCALED % ("a", "a"))
    n.forward(x=X)
    for name, want in (("x", X), ("a", 3 * X), ("b", X)):
        np.testing.assert_array_equal(n.blobs[name].data, want)


def test_what_is_written_into_constant_dummy_data_stays(tmp_path):
    shape = "shape { dim: 3 dim: 2 }"
    filled = f'dummy_data_param {{ {shape} data_filler {{ value: 4 }} data_filler {{ type: "uniform" }} }}'
    text = f'layer {{ name: "d" type: "DummyData" top: "c" top: "u" {filled} }}\n{SCALED % ("c", "y")}'
    (tmp_path / "dummy.prototxt").write_text(text)
    n = caffe.Net("dummy.prototxt", caffe.TRAIN)
    np.testing.assert_array_equal(n.blobs["c"].data, np.full((3, 2), 4))
    n.blobs["c"].data[...] = X
    n.blobs["u"].data[...] = 7
    np.testing.assert_array_equal(n.forward()["y"], 3 * X)
    assert n.blobs["u"].data.max() <= 1


def test_hooks_are_called_around_each_layer_and_see_its_blobs():
    n = net(SCALED % ("x", "h"), 'layer { name: "e" type: "Exp" bottom: "h" top: "y" }')
    told = []
    n.before_forward(lambda i: told.append(("before", i)))
    n.after_forward(lambda i: told.append(("after", i, float(n.blobs["h"].data[0, 0]))))
    n.before_backward(lambda i: told.append(("back", i)))
    n.after_backward(lambda i: told.append(("done", i)))
    n.forward(x=X)
    assert told == [("before", 0), ("after", 0, 0), ("before", 1), ("after", 1, 3), ("before", 2), ("after", 2, 3)]
    told.clear()
    n.backward()
    assert told == [(what, i) for i in (2, 1, 0) for what in ("back", "done")]


def test_a_size_that_was_seen_is_not_compiled_again():
    n = net(SCALED % ("x", "y"))
    for rows in (3, 4, 5):
        n.blobs["x"].reshape(rows, 2)
        n.forward()
    run = n._passes._compiled
    before = run.cache_info().misses
    for rows in (4, 3, 5):
        n.blobs["x"].reshape(rows, 2)
        assert n.forward()["y"].shape == (rows, 2)
    assert run.cache_info().misses == before


def test_layers_behind_the_end_need_not_fit(tmp_path):
    """As in DeepDream on a net of classes: a picture of any size, forward to a convolution and back from there."""
    path = tmp_path / "net.prototxt"
    path.write_text(
        'force_backward: true layer { name: "x" type: "Input" top: "x" input_param { shape { dim: [1, 1, 4, 4] } } }'
        'layer { name: "c" type: "Convolution" bottom: "x" top: "c" convolution_param { num_output: 2 kernel_size: 3 '
        'weight_filler { type: "xavier" } } }'
        'layer { name: "ip" type: "InnerProduct" bottom: "c" top: "y" inner_product_param { num_output: 3 } }'
    )
    net = caffe.Net(str(path), caffe.TEST)
    net.forward()
    net.blobs["x"].reshape(1, 1, 6, 5)
    for k in (1, 2):
        net.blobs["x"].data[...] = k
        net.forward(end="c")
        net.blobs["c"].diff[...] = 1
        net.backward(start="c")
        assert net.blobs["c"].data.shape == (1, 2, 4, 3)
        np.testing.assert_allclose(
            net.blobs["c"].data[0, :, 0, 0], k * net.params["c"][0].data.sum((1, 2, 3)), rtol=1e-5
        )
        np.testing.assert_allclose(net.blobs["x"].diff[0, 0, 2, 2], net.params["c"][0].data.sum(), rtol=1e-4)
    assert net.blobs["y"].data.shape == (1, 3)
    with pytest.raises(LayerError, match="ask for a weight"):
        net.forward()
    net.blobs["x"].reshape(1, 1, 4, 4)
    assert net.forward()["y"].shape == (1, 3)


def test_a_size_that_a_users_forward_makes_is_asked_of_no_layer_before(tmp_path):
    """As in Faster R-CNN: until its labels are made for the next picture, they do not fit its scores."""
    n = net(python_layer("Targets", "x", "t"),
            'layer { name: "d" type: "Eltwise" bottom: "x" bottom: "t" top: "y" }',
            'layer { name: "l" type: "Python" bottom: "y" top: "t2" python_param { module: "open_layers" '
            'layer: "Targets" } }',
            'layer { name: "e" type: "Eltwise" bottom: "y" bottom: "t2" top: "z" }')  # fmt: skip
    for rows in (3, 4, 2, 4):
        n.blobs["x"].reshape(rows, 2)
        n.blobs["x"].data[...] = 1
        assert n.forward()["z"].tolist() == [[4 * rows + 1] * 2] * rows
