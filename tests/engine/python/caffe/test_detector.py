"""caffe.Detector: windows of pictures, with context and without."""

import sys

import caffe
import cv2
import numpy as np
import pytest

from engine.errors import DataError, NetError

MEANS = """
name: "means"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 8 dim: 8 } } }
layer { name: "mean" type: "Pooling" bottom: "data" top: "mean" pooling_param { pool: AVE global_pooling: true } }
"""


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "deploy.prototxt"
    path.write_text(MEANS)
    caffe.Net(str(path), caffe.TEST).save(str(tmp_path / "it.caffemodel"))
    return str(path), str(tmp_path / "it.caffemodel")


@pytest.fixture
def picture(tmp_path):
    """Red in its left half of 20 × 16, green in its right one."""
    im = np.zeros((20, 16, 3), np.uint8)
    im[:, :8, 2], im[:, 8:, 1] = 255, 255
    cv2.imwrite(str(tmp_path / "picture.png"), im)
    return str(tmp_path / "picture.png")


def test_each_window_has_its_prediction(model, picture):
    windows = np.array([[0, 0, 20, 8], [0, 8, 20, 16], [2, 4, 8, 12]])
    found = caffe.Detector(*model, raw_scale=255, channel_swap=[2, 1, 0]).detect_windows([(picture, windows)])
    assert [d["filename"] for d in found] == [picture] * 3
    np.testing.assert_array_equal([d["window"] for d in found], windows)
    # B, G, R of the net; the last window fades to 0 in no channel but at its border, where its least value is 0
    assert found[0]["prediction"].ravel() == pytest.approx([0, 0, 255], abs=40)
    assert found[1]["prediction"].ravel() == pytest.approx([0, 255, 0], abs=40)
    assert found[2]["prediction"].ravel()[0] == 0


def test_pairs_may_come_from_a_generator_and_be_none(model, picture):
    net = caffe.Detector(*model)
    assert len(net.detect_windows((name, [[0, 0, 4, 4]]) for name in [picture, picture])) == 2
    assert net.detect_windows([]) == net.detect_windows([(picture, [])]) == []


def test_context_surrounds_the_window(model):
    """A window of 4 pixels in an input of 8, 2 of which are context at each side: the box is twice the window."""
    net = caffe.Detector(*model, context_pad=2)
    im = np.zeros((20, 16, 3), np.float32)
    im[8:12, 6:10] = 1
    crop = net.crop(im, (8, 6, 12, 10))
    assert crop.shape == (8, 8, 3)
    assert crop[3:5, 3:5].min() > 0.7
    assert crop[0].max() == crop[:, 0].max() == crop[6:].max() == crop[:, 6:].max() == 0


def test_what_lies_outside_of_the_picture_is_the_mean(model):
    net = caffe.Detector(*model, context_pad=2, mean=np.array([25.5, 51, 76.5]), raw_scale=255, channel_swap=(2, 1, 0))
    crop = net.crop(np.ones((20, 16, 3), np.float32), (0, 0, 4, 4))
    np.testing.assert_allclose(crop[0, 0], [0.3, 0.2, 0.1], rtol=1e-6)
    np.testing.assert_allclose(crop[-1, -1], [1, 1, 1])


def test_with_context_a_window_may_begin_outside_of_the_picture(model):
    net = caffe.Detector(*model, context_pad=2, mean=np.array([0.5, 0.5, 0.5]))
    crop = net.crop(np.ones((20, 16, 3), np.float32), (-2, -2, 4, 4))
    np.testing.assert_allclose(crop[[0, -1], [0, -1]], [[0.5] * 3, [1] * 3])


@pytest.mark.parametrize(
    ("window", "message"),
    [
        ((0, 0, 4), "it must be ymin, xmin, ymax, xmax"),
        ((30, 0, 34, 4), "it is empty or outside the picture"),
        ((4, 4, 4, 8), "it is empty or outside the picture"),
        ((-1, 0, 4, 4), "it is empty or outside the picture"),
        ("abc", "it must be ymin"),
    ],
)
def test_windows_without_a_pixel_are_told(model, picture, window, message):
    with pytest.raises(DataError, match=rf"picture\.png.*{message}"):
        caffe.Detector(*model).detect_windows([(picture, [window])])


def test_a_context_of_other_channels_is_told(model):
    grey = np.zeros((20, 16, 1), np.float32)
    with pytest.raises(DataError, match="the picture has 1 channels, but the net's input has 3"):
        caffe.Detector(*model, context_pad=2).crop(grey, (0, 0, 8, 8))


@pytest.mark.parametrize("pad", [4, -1])
def test_a_context_that_leaves_no_room_is_refused(model, pad):
    with pytest.raises(NetError, match="larger than twice the pad"):
        caffe.Detector(*model, context_pad=pad)


def test_selective_search_says_what_it_needs(model, picture):
    with pytest.raises(NetError, match=r"needs MATLAB and the Python module selective_search.*detect_windows"):
        caffe.Detector(*model).detect_selective_search([picture])


def test_selective_search_runs_where_it_is_installed(model, picture, tmp_path, monkeypatch):
    (tmp_path / "selective_search_ijcv_with_python.py").write_text(
        "def get_windows(names, cmd):\n    return [[[0, 0, 4, 4]] for _ in names]\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "selective_search_ijcv_with_python", None)  # so that it is taken away behind
    del sys.modules["selective_search_ijcv_with_python"]
    (found,) = caffe.Detector(*model).detect_selective_search([picture])
    assert found["filename"] == picture
