"""What an open net refuses: in words of its own, as kinds that programs written for pycaffe catch."""

import copy
import pickle

import caffe
import numpy as np
import pytest

from engine.errors import EngineError, NetError, SnapshotError

NET = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "t" type: "Input" top: "t" input_param { shape { dim: 2 } } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y" inner_product_param { num_output: 3 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "y" bottom: "t" top: "loss" }
"""
X = np.float32([[1, -2, 3], [0.5, 4, -1]])


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "net.prototxt"
    file.write_text(NET)
    return file


@pytest.fixture
def net(path):
    return caffe.Net(str(path), caffe.TRAIN)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda n: n.forward(end="ip9"), ValueError, 'no layer "ip9"; it has x, t, ip'),
        (lambda n: n.forward(["z"]), KeyError, '^this net has no blob "z"'),
        (
            lambda n: n.forward(x=X[:, :2], t=[0, 0]),
            ValueError,
            r'input "x" has shape \[2, 3\], but was given \[2, 2\]',
        ),
        (lambda n: n.share_with(3), TypeError, "share_with takes a net, not int"),
        (lambda n: caffe.Net("no.prototxt", caffe.TEST, level="x"), TypeError, "level is 'x'; give an integer"),
        (lambda n: caffe.Net("no.prototxt", caffe.TEST, level=1.5), TypeError, "level is 1.5; give an integer"),
        (lambda n: caffe.Net("no.prototxt", None), TypeError, "phase is None"),
        (copy.deepcopy, RuntimeError, "a Net cannot be copied or pickled"),
        (lambda n: copy.deepcopy(n.params), RuntimeError, r"a Blob cannot be copied or pickled: .*blob.data.copy\(\)"),
        (lambda n: pickle.dumps(n.layers[2]), RuntimeError, "cannot be copied or pickled"),
        (lambda n: n.forward(x=X), NetError, "inputs given: x; the net's inputs are x, t"),
        (lambda n: n.forward(x=X[:1], t=[0]), NetError, r'input "x" has shape \[2, 3\], but was given \[1, 3\]'),
        (lambda n: n.copy_from("no.caffemodel"), SnapshotError, "no such model"),
        (lambda n: n._forward(0, 4), NetError, "no layer 4; it has layers 0 to 3"),
        (lambda n: n._backward(3, -1), NetError, "no layer -1"),
        (lambda n: n._top_ids(-1), NetError, "no layer -1"),
        (lambda n: caffe.Net("no.prototxt", caffe.TEST, stages="deploy"), NetError, r"give \['deploy'\]"),
        (lambda n: caffe.Net("no.prototxt", caffe.TEST), EngineError, "no.prototxt"),
        (lambda n: caffe.set_device(-1), EngineError, "numbered from 0"),
    ],
)
def test_errors_say_what_is_wrong(net, call, error, message):
    with pytest.raises(error, match=message):
        call(net)


def test_a_wrong_shape_is_numpys_error(net):
    with pytest.raises(ValueError, match="broadcast"):
        net.blobs["x"].data[...] = np.ones((3, 3))


@pytest.mark.parametrize("name", ["blobs", "params", "layers", "inputs", "outputs", "top_names", "blob_loss_weights"])
def test_what_it_has_can_only_be_read(net, name):
    with pytest.raises(AttributeError):
        setattr(net, name, [])


def test_a_subclass_that_has_not_made_the_net_is_told(path):
    class Unmade(caffe.Net):
        def __init__(self):
            self.known = hasattr(self, "anything")

    net = Unmade()
    assert net.known is False
    for call in (lambda: net.blobs, net.forward, net.reshape):
        with pytest.raises(
            TypeError, match=r"this Unmade is not initialized: .*caffe.Net.__init__\(self, FILE, PHASE\)"
        ):
            call()
