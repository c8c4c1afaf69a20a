"""Passes over any number of examples: cut into batches, and cut off again."""

import caffe
import numpy as np
import pytest

from engine.errors import NetError

NET = """
name: "small" force_backward: true
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y"
  inner_product_param { num_output: 4 weight_filler { type: "xavier" } bias_filler { value: 1 } } }
"""
X = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)


@pytest.fixture
def net(tmp_path):
    (tmp_path / "net.prototxt").write_text(NET)
    return caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST)


def test_forward_all_cuts_into_batches(net):
    w, b = (p.data for p in net.params["ip"])
    np.testing.assert_allclose(net.forward_all(["y"], x=X)["y"], X @ w.T + b, rtol=1e-4, atol=1e-5)


def test_backward_takes_the_gradients_of_each_batch(net):
    diff = np.arange(20.0).reshape(5, 4)
    outs, backs = net.forward_backward_all(x=X, y=diff)
    assert outs["y"].shape == (5, 4)
    np.testing.assert_allclose(backs["x"], diff @ net.params["ip"][0].data, rtol=1e-4, atol=1e-5)


def test_gradients_alone_are_as_many(net):
    outs, backs = net.forward_backward_all(y=np.ones((3, 4)))
    assert (outs["y"].shape, backs["x"].shape) == ((3, 4), (3, 3))


def test_of_no_examples_there_are_none(net):
    assert net.forward_all(x=X[:0])["y"].shape == (0, 4)
    assert {name: len(x) for both in net.forward_backward_all() for name, x in both.items()} == {"y": 0, "x": 0}


def test_other_numbers_of_examples_are_refused(net):
    with pytest.raises(NetError, match=r"different numbers of examples: {'x': 5, 'z': 4}"):
        net.forward_all(x=X, z=X[:4])
