"""caffe.io: pictures, datums and blobs to and from numpy, the Transformer."""

import caffe
import cv2
import numpy as np
import pytest

from engine.errors import DataError, NetError

RGB = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "picture.png"
    cv2.imwrite(str(path), RGB[:, :, ::-1])
    return path


def test_load_image_is_rgb_from_0_to_1(picture):
    np.testing.assert_allclose(caffe.io.load_image(picture), RGB / np.float32(255))
    assert caffe.io.load_image(picture, color=False).shape == (6, 8, 1)


@pytest.mark.parametrize("data", [None, b"no picture"])
def test_load_image_names_what_it_cannot_read(tmp_path, data):
    path = tmp_path / "broken.jpg"
    if data:
        path.write_bytes(data)
    with pytest.raises(DataError, match=r"broken\.jpg"):
        caffe.io.load_image(path)


def test_resize_image_keeps_channels_and_constants():
    small = caffe.io.resize_image(np.full((4, 6, 2), 3, np.float32), (2, 5))
    np.testing.assert_allclose(small, np.full((2, 5, 2), 3))


def test_oversample_makes_ten_crops():
    crops = caffe.io.oversample([RGB], (4, 4))
    assert crops.shape == (10, 4, 4, 3)
    np.testing.assert_array_equal(crops[3], RGB[2:, 4:])
    np.testing.assert_array_equal(crops[4], RGB[1:5, 2:6])
    np.testing.assert_array_equal(crops[5:], crops[:5, :, ::-1])


def test_blobs_go_and_come_back():
    data, diff = np.arange(6, dtype=np.float32).reshape(1, 2, 3), np.ones((1, 2, 3), np.float32)
    blob = caffe.io.array_to_blobproto(data, diff)
    np.testing.assert_array_equal(caffe.io.blobproto_to_array(blob), data)
    np.testing.assert_array_equal(caffe.io.blobproto_to_array(blob, return_diff=True), diff)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_datums_go_and_come_back(dtype):
    array = np.arange(12).reshape(3, 2, 2).astype(dtype)
    datum = caffe.io.array_to_datum(array, 7)
    assert datum.label == 7
    np.testing.assert_array_equal(caffe.io.datum_to_array(datum), array)


def test_transformer_follows_caffes_order_and_back():
    t = caffe.io.Transformer({"data": (1, 3, 6, 8)})
    t.set_transpose("data", (2, 0, 1))
    t.set_channel_swap("data", (2, 1, 0))
    t.set_raw_scale("data", 255)
    t.set_mean("data", np.array([1.0, 2, 3]))
    t.set_input_scale("data", 0.5)
    im = RGB / np.float32(255)
    got = t.preprocess("data", im)
    want = (RGB[:, :, ::-1].transpose(2, 0, 1).astype(float) - np.array([1, 2, 3])[:, None, None]) / 2
    np.testing.assert_allclose(got, want, atol=1e-4)
    np.testing.assert_allclose(t.deprocess("data", got), im, atol=1e-6)


def test_transformer_resizes_to_the_input():
    assert caffe.io.Transformer({"data": (1, 3, 4, 4)}).preprocess("data", RGB).shape == (4, 4, 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda t: t.set_transpose("data", (0, 1)), "no order of the 3 axes"),
        (lambda t: t.set_channel_swap("data", (1, 0)), "has 3 channels"),
        (lambda t: t.set_mean("data", np.zeros(4)), r"\[4\] does not fit"),
        (lambda t: t.preprocess("image", RGB), '"image" is no input; there are data'),
    ],
)
def test_transformer_refuses(call, message):
    with pytest.raises(NetError, match=message):
        call(caffe.io.Transformer({"data": (1, 3, 6, 8)}))
