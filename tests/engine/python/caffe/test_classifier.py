"""caffe.Classifier: pictures are resized, cropped, preprocessed and told, ten crops averaged."""

import caffe
import numpy as np
import pytest

from engine.errors import NetError

MEANS = """
name: "means"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 4 dim: 3 dim: 6 dim: 6 } } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
  inner_product_param { num_output: 2 weight_filler { type: "gaussian" std: 0.1 } } }
layer { name: "prob" type: "Softmax" bottom: "ip" top: "prob" }
"""
PICTURES = [np.random.default_rng(i).random((8, 10, 3), np.float32) for i in range(3)]


@pytest.fixture
def model(tmp_path):
    (tmp_path / "deploy.prototxt").write_text(MEANS)
    net = caffe.Net(str(tmp_path / "deploy.prototxt"), caffe.TEST)
    net.save(str(tmp_path / "it.caffemodel"))
    return str(tmp_path / "deploy.prototxt"), str(tmp_path / "it.caffemodel")


def by_hand(net, crops):
    """What the net says of preprocessed crops (n, channels, height, width)."""
    weights, bias = (blob.data for blob in net.params["ip"])
    ip = crops.reshape(len(crops), -1) @ weights.T + bias
    return np.exp(ip) / np.exp(ip).sum(1, keepdims=True)


def test_the_centre(model):
    net = caffe.Classifier(*model, image_dims=[8, 9], raw_scale=4, mean=np.array([1.0, 2, 3]), channel_swap=(2, 1, 0))
    crops = [caffe.io.resize_image(p, (8, 9))[1:7, 1:7, ::-1].transpose(2, 0, 1) for p in PICTURES]
    want = by_hand(net, np.stack(crops) * 4 - np.array([1, 2, 3])[:, None, None])
    np.testing.assert_allclose(net.predict(PICTURES, oversample=False), want, rtol=1e-4)


def test_ten_crops_are_averaged(model):
    net = caffe.Classifier(*model, image_dims=[8, 10], input_scale=0.5)
    crops = caffe.io.oversample(PICTURES, (6, 6)).transpose(0, 3, 1, 2) * 0.5
    want = by_hand(net, crops).reshape(3, 10, 2).mean(1)
    np.testing.assert_allclose(net.predict(PICTURES), want, rtol=1e-4)


def test_without_dims_the_whole_picture_is_the_crop(model):
    net = caffe.Classifier(*model)
    assert list(net.image_dims) == [6, 6]
    whole = np.stack([caffe.io.resize_image(p, (6, 6)).transpose(2, 0, 1) for p in PICTURES])
    np.testing.assert_allclose(net.predict(PICTURES, oversample=False), by_hand(net, whole), rtol=1e-4)


def test_a_grey_picture_is_that_in_each_channel(model):
    net = caffe.Classifier(*model, image_dims=(6, 6))
    assert net.image_dims == (6, 6)
    grey = np.random.default_rng(3).random((6, 6, 1), np.float32)
    want = net.predict([np.repeat(grey, 3, axis=2)], oversample=False)
    np.testing.assert_allclose(net.predict([grey], oversample=False), want, rtol=1e-5)


def test_dims_less_than_the_input_are_refused(model):
    with pytest.raises(ValueError, match=r"image_dims \[4, 8\].*at least.*\[6, 6\]"):
        caffe.Classifier(*model, image_dims=[4, 8]).predict(PICTURES)


def test_a_phase_in_the_place_of_dims_is_a_net_to_be_run(model):
    """Programs take a Classifier for a Net, with its phase."""
    net = caffe.Classifier(*model, caffe.TEST)
    assert net.forward(data=np.zeros(net.blobs["data"].shape)).keys() == {net.outputs[0]}
    with pytest.raises(ValueError, match=r"image_dims 1:"):
        net.predict(PICTURES)
    assert list(caffe.Classifier(*model, caffe.TRAIN).image_dims) == [6, 6]


@pytest.mark.parametrize(
    ("pictures", "message"), [([], "no pictures"), ([np.zeros((6, 6, 2))], 'have 2 channels, but input "data" has 3')]
)
def test_what_is_no_picture_for_the_net_is_told(model, pictures, message):
    with pytest.raises(NetError, match=message):
        caffe.Classifier(*model).predict(pictures)


@pytest.mark.parametrize(
    ("net", "message"),
    [
        ('layer { name: "x" type: "DummyData" top: "x" dummy_data_param { shape { dim: 1 } } }', "no input"),
        ('layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }', r"shape \[2, 3\]"),
    ],
)
def test_a_net_without_pictures_is_refused(tmp_path, model, net, message):
    (tmp_path / "net.prototxt").write_text(net)
    with pytest.raises(NetError, match=message):
        caffe.Classifier(str(tmp_path / "net.prototxt"), model[1])
