"""What BVLC's notebooks do, in small: each recipe as its readers copy it into their own programs."""

from pathlib import Path

import caffe
import cv2
import h5py
import numpy as np
import pytest
from caffe import layers as L
from caffe import params as P
from caffe.proto import caffe_pb2

from engine.data.lmdb_writer import LMDBWriter


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    caffe.set_mode_cpu()
    caffe.set_random_seed(1)


def random():
    return np.random.default_rng(0)


def written(message, name):
    with open(name, "w") as f:  # noqa: PTH123  as the notebooks do
        f.write(str(message))
    return name


def solver_of(train, test=None, **settings):
    s = caffe_pb2.SolverParameter(base_lr=0.1, lr_policy="fixed", momentum=0.9, max_iter=60, train_net=train)
    if test:
        s.test_net.append(test)
        s.test_iter.append(2)
        s.test_interval = 100
    for name, value in settings.items():
        setattr(s, name, value)
    return written(s, "solver.prototxt")


def squares(lmdb, n=40):
    """Pictures of 8 × 8 of two classes, dark and bright, in a database of Datums."""
    with LMDBWriter(Path(lmdb)) as db:
        for i in range(n):
            datum = caffe.io.array_to_datum(np.full((1, 8, 8), 50 + 150 * (i % 2), np.uint8), i % 2)
            db.put(b"%08d" % i, datum.SerializeToString())


def test_learning_lenet():
    """A net written in Python on a database, stepped one by one, tested by hand on batches of its own."""
    squares("train_lmdb")

    def net(batch_size):
        n = caffe.NetSpec()
        n.data, n.label = L.Data(
            batch_size=batch_size, backend=P.Data.LMDB, source="train_lmdb", transform_param={"scale": 1 / 255}, ntop=2
        )
        n.conv = L.Convolution(n.data, kernel_size=3, num_output=2, weight_filler={"type": "xavier"})
        n.pool = L.Pooling(n.conv, kernel_size=2, stride=2, pool=P.Pooling.MAX)
        n.score = L.InnerProduct(n.pool, num_output=2, weight_filler={"type": "xavier"})
        n.loss = L.SoftmaxWithLoss(n.score, n.label)
        return n.to_proto()

    solver = caffe.SGDSolver(solver_of(written(net(8), "train.prototxt"), written(net(4), "test.prototxt")))
    losses = []
    for _ in range(40):
        solver.step(1)
        losses.append(float(solver.net.blobs["loss"].data))
    assert losses[-1] < 0.3 < losses[0]
    test_net, right = solver.test_nets[0], 0
    for _ in range(5):
        test_net.forward()
        right += sum(test_net.blobs["score"].data.argmax(1) == test_net.blobs["label"].data)
    assert right >= 18
    again = test_net.blobs["score"].data.copy()
    test_net.forward(start="conv")
    np.testing.assert_allclose(test_net.blobs["score"].data, again, rtol=1e-5)


def test_logistic_regression_of_hdf5():
    """Settings and nets as messages; compressed data; the test net read by hand after solve."""
    x = random().standard_normal((60, 4))
    y = (x[:, 0] + x[:, 1] > 0).astype(np.float32)
    with h5py.File("train.h5", "w") as f:
        f.create_dataset("data", data=x, compression="gzip")
        f["label"] = y
    written("train.h5\ntrain.h5\n", "train.txt")
    n = caffe.NetSpec()
    n.data, n.label = L.HDF5Data(batch_size=10, source="train.txt", ntop=2)
    n.ip1 = L.InnerProduct(n.data, num_output=2, weight_filler={"type": "xavier"})
    n.accuracy = L.Accuracy(n.ip1, n.label)
    n.loss = L.SoftmaxWithLoss(n.ip1, n.label)
    net = written(n.to_proto(), "net.prototxt")
    solver = caffe.get_solver(solver_of(net, net, snapshot_prefix="logreg"))
    solver.solve()
    accuracy = 0
    for _ in range(6):
        solver.test_nets[0].forward()
        accuracy += solver.test_nets[0].blobs["accuracy"].data / 6
    assert solver.test_nets[0].blobs["data"].num == 10
    assert accuracy > 0.9


def fine_tuned(classes, name, frozen):
    param = [{"lr_mult": 0}] * 2 if frozen else [{"lr_mult": 1}, {"lr_mult": 2}]
    n = caffe.NetSpec()
    n.data, n.label = L.ImageData(
        source="list.txt", batch_size=4, new_height=6, new_width=6, ntop=2, transform_param={"scale": 1 / 255}
    )
    n.fc = L.InnerProduct(n.data, num_output=5, param=param, weight_filler={"type": "xavier"})
    n.sigmoid = L.Sigmoid(n.fc, in_place=True)
    score = L.InnerProduct(n.sigmoid, num_output=classes, weight_filler={"type": "xavier"})
    setattr(n, name, score)
    n.probs = L.Softmax(score)
    n.loss = L.SoftmaxWithLoss(score, n.label)
    return written(n.to_proto(), f"{name}.prototxt")


def test_fine_tuning():
    """A frozen layer stays the pretrained one, the new one learns; what was learned is saved and taken up again."""
    for i in range(4):
        cv2.imwrite(f"{i}.png", random().integers(0, 256, (9, 7, 3), np.uint8))
    written("".join(f"{i}.png {i % 2}\n" for i in range(4)), "list.txt")
    pretrained = caffe.Net(fine_tuned(3, "old_score", False), caffe.TEST)
    pretrained.save("old.caffemodel")
    solver = caffe.get_solver(solver_of(fine_tuned(2, "new_score", True)))
    solver.net.copy_from("old.caffemodel")
    before = solver.net.params["new_score"][0].data.copy()
    solver.step(3)
    np.testing.assert_array_equal(solver.net.params["fc"][0].data, pretrained.params["fc"][0].data)
    assert (solver.net.params["new_score"][0].data != before).any()
    solver.net.save("new.caffemodel")
    tuned = caffe.Net("new_score.prototxt", "new.caffemodel", caffe.TEST)
    tuned.forward()
    image = tuned.blobs["data"].data[2].copy()
    tuned.blobs["data"].data[0, ...] = image
    probs = tuned.forward(start="fc")["probs"]
    np.testing.assert_allclose(probs[0], probs[2], rtol=1e-5)


def test_classification():
    """One picture for a whole batch, through a Transformer, at a size that the net was not written for."""
    n = caffe.NetSpec()
    n.data = L.Input(shape={"dim": [10, 3, 6, 6]})
    n.pool = L.Pooling(n.data, pool=P.Pooling.AVE, global_pooling=True)
    n.prob = L.Softmax(n.pool)
    net = caffe.Net(written(n.to_proto(), "deploy.prototxt"), caffe.TEST)
    transformer = caffe.io.Transformer({"data": net.blobs["data"].data.shape})
    transformer.set_transpose("data", (2, 0, 1))
    transformer.set_mean("data", np.float32([10, 20, 30]))
    transformer.set_raw_scale("data", 255)
    transformer.set_channel_swap("data", (2, 1, 0))
    cv2.imwrite("x.png", np.full((6, 6, 3), (11, 22, 33), np.uint8))
    net.blobs["data"].reshape(4, 3, 6, 6)
    net.blobs["data"].data[...] = transformer.preprocess("data", caffe.io.load_image("x.png"))
    prob = net.forward()["prob"]
    assert prob.shape[0] == 4
    np.testing.assert_allclose(prob[0].ravel(), np.exp([1, 2, 3]) / np.exp([1, 2, 3]).sum(), rtol=1e-4)


def test_net_surgery():
    """Filters written by hand; a fully connected layer's weights in a convolution that takes larger pictures."""
    n = caffe.NetSpec()
    n.data = L.Input(shape={"dim": [1, 2, 3, 3]})
    n.fc = L.InnerProduct(n.data, num_output=4, weight_filler={"type": "xavier"})
    net = caffe.Net(written(n.to_proto(), "fc.prototxt"), caffe.TEST)
    net.params["fc"][1].data[...] = [1, 2, 3, 4]
    net.save("fc.caffemodel")
    n = caffe.NetSpec()
    n.data = L.Input(shape={"dim": [1, 2, 5, 5]})
    n["fc-conv"] = L.Convolution(n.data, kernel_size=3, num_output=4)
    full = caffe.Net(written(n.to_proto(), "conv.prototxt"), "fc.caffemodel", caffe.TEST)
    full.params["fc-conv"][0].data.flat = net.params["fc"][0].data.flat
    full.params["fc-conv"][1].data[...] = net.params["fc"][1].data
    picture = random().standard_normal((1, 2, 5, 5))
    out = full.forward_all(data=picture)["fc-conv"]
    net.blobs["data"].data[...] = picture[:, :, 1:4, 2:5]
    np.testing.assert_allclose(out[0, :, 1, 2], net.forward()["fc"][0], rtol=1e-4, atol=1e-5)


def test_siamese():
    """Two branches with the parameters of one; features of any number of pictures at once."""
    shared = [{"name": "w", "lr_mult": 1}, {"name": "b", "lr_mult": 2}]
    n = caffe.NetSpec()
    n.pair, n.sim = L.DummyData(
        shape=[{"dim": [3, 2, 2, 2]}, {"dim": 3}], data_filler=[{"type": "gaussian"}, {"type": "constant"}], ntop=2
    )
    n.data, n.data_p = L.Slice(n.pair, slice_dim=1, slice_point=1, ntop=2)
    n.feat = L.InnerProduct(n.data, num_output=2, param=shared, weight_filler={"type": "xavier"})
    n.feat_p = L.InnerProduct(n.data_p, num_output=2, param=shared, weight_filler={"type": "xavier"})
    n.loss = L.ContrastiveLoss(n.feat, n.feat_p, n.sim, contrastive_loss_param={"margin": 1})
    solver = caffe.SGDSolver(solver_of(written(n.to_proto(), "train.prototxt")))
    solver.step(2)
    feat, feat_p = (solver.net.params[name][0].data for name in ("feat", "feat_p"))
    np.testing.assert_array_equal(feat, feat_p)
    solver.net.save("siamese.caffemodel")
    n = caffe.NetSpec()
    n.data = L.Input(shape={"dim": [4, 1, 2, 2]})
    n.feat = L.InnerProduct(n.data, num_output=2)
    net = caffe.Net(written(n.to_proto(), "deploy.prototxt"), "siamese.caffemodel", caffe.TEST)
    pictures = random().integers(0, 255, (10, 1, 2, 2)) * 0.00390625
    out = net.forward_all(data=pictures)["feat"]
    np.testing.assert_allclose(out, pictures.reshape(10, 4) @ feat.T + solver.net.params["feat"][1].data, rtol=1e-4)


LOADER = """
import caffe
import numpy as np


class Loader(caffe.Layer):
    def setup(self, bottom, top):
        self.top_names = ["data", "label"]
        params = eval(self.param_str)
        self.batch_size, self.at = params["batch_size"], 0
        top[0].reshape(self.batch_size, 1, *params["im_shape"])
        top[1].reshape(self.batch_size, 2)

    def forward(self, bottom, top):
        for i in range(self.batch_size):
            bright = self.at % 2
            top[0].data[i, ...] = np.full(top[0].shape[1:], bright)
            top[1].data[i, ...] = [bright, 1 - bright]
            self.at += 1

    def reshape(self, bottom, top):
        pass

    def backward(self, top, propagate_down, bottom):
        pass
"""


def test_multilabel_with_a_data_layer_in_python(monkeypatch):
    """Its settings are a dict's text; the test net shares the trained one's parameters."""
    written(LOADER, "notebook_loader.py")

    def net(split):
        params = {"batch_size": 4, "im_shape": [3, 3], "split": split}
        n = caffe.NetSpec()
        n.data, n.label = L.Python(module="notebook_loader", layer="Loader", ntop=2, param_str=str(params))
        n.score = L.InnerProduct(n.data, num_output=2, weight_filler={"type": "xavier"})
        n.loss = L.SigmoidCrossEntropyLoss(n.score, n.label)
        return written(n.to_proto(), f"{split}.prototxt")

    solver = caffe.SGDSolver(solver_of(net("train"), net("val")))
    solver.test_nets[0].share_with(solver.net)
    solver.step(40)
    test_net = solver.test_nets[0]
    test_net.forward()
    np.testing.assert_array_equal(test_net.blobs["score"].data > 0, test_net.blobs["label"].data > 0.5)


def test_detection():
    """Windows of a picture, those that overlap a better one left out."""
    n = caffe.NetSpec()
    n.data = L.Input(shape={"dim": [2, 3, 8, 8]})
    n.score = L.Pooling(n.data, pool=P.Pooling.AVE, global_pooling=True)
    net = caffe.Net(written(n.to_proto(), "deploy.prototxt"), caffe.TEST)
    net.save("it.caffemodel")
    im = np.zeros((30, 30, 3), np.uint8)
    im[10:20, 10:20, 2] = 255
    cv2.imwrite("x.png", im)
    windows = np.array([[0, 0, 8, 8], [10, 10, 20, 20], [8, 8, 22, 22]])
    detector = caffe.Detector("deploy.prototxt", "it.caffemodel", raw_scale=255, channel_swap=(2, 1, 0))
    scores = np.vstack([found["prediction"].ravel() for found in detector.detect_windows([("x.png", windows)])])
    assert scores[:, 2].argmax() == 1
    assert scores[0].max() == 0
