"""caffe.io: pictures, datums and blobs to and from numpy, the Transformer."""

import os
import re
import sys
import threading
import types
from http.server import BaseHTTPRequestHandler, HTTPServer

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


@pytest.mark.parametrize(("bgr", "grey"), [((0, 0, 255), 0.2125), ((0, 255, 0), 0.7154), ((255, 0, 0), 0.0721)])
def test_grey_is_what_skimage_makes_of_colours(tmp_path, bgr, grey):
    cv2.imwrite(str(tmp_path / "x.png"), np.full((2, 2, 3), bgr, np.uint8))
    np.testing.assert_allclose(caffe.io.load_image(tmp_path / "x.png", color=False), np.full((2, 2, 1), grey), 1e-6)


@pytest.mark.parametrize("color", [True, False])
def test_pictures_of_16_bits_keep_them(tmp_path, color):
    cv2.imwrite(str(tmp_path / "x.png"), np.full((2, 2), 1000, np.uint16))
    want = np.full((2, 2, 3 if color else 1), 1000 / 65535, np.float32)
    np.testing.assert_array_equal(caffe.io.load_image(tmp_path / "x.png", color), want)


def test_transparency_is_left_out(tmp_path):
    cv2.imwrite(str(tmp_path / "x.png"), np.dstack([RGB[:, :, ::-1], np.zeros((6, 8), np.uint8)]))
    np.testing.assert_allclose(caffe.io.load_image(tmp_path / "x.png"), RGB / np.float32(255))


def test_pictures_are_not_turned_by_exif(tmp_path):
    """EXIF's orientation 6, "turn to the right", in an APP1 segment behind a JPEG's first marker."""
    tags = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    jpeg = cv2.imencode(".jpg", RGB)[1].tobytes()
    segment = b"Exif\0\0" + tags
    path = tmp_path / "x.jpg"
    path.write_bytes(jpeg[:2] + b"\xff\xe1" + (len(segment) + 2).to_bytes(2) + segment + jpeg[2:])
    assert cv2.imread(str(path)).shape == (8, 6, 3)
    assert caffe.io.load_image(path).shape == (6, 8, 3)


def test_load_image_takes_names_as_bytes_and_addresses(picture):
    want = caffe.io.load_image(picture)

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/picture.png" else 404)
            self.end_headers()
            self.wfile.write(picture.read_bytes())

        def log_message(self, *args):
            """Says nothing."""

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        there = f"http://127.0.0.1:{server.server_port}"
        for name in (os.fsencode(picture), picture.as_uri(), f"{there}/picture.png"):
            np.testing.assert_array_equal(caffe.io.load_image(name), want)
        for name, reason in ((f"{there}/other.png", "Not Found"), (f"{there}/a b.png", "InvalidURL")):
            with pytest.raises(DataError, match=f"^{re.escape(name)}: cannot be read: .*{reason}"):
                caffe.io.load_image(name)
        server.shutdown()
    with pytest.raises(DataError, match=f"^{there}: cannot be read: .*refused"):
        caffe.io.load_image(there)


def test_load_image_takes_an_open_file(picture):
    with picture.open("rb") as file:
        np.testing.assert_array_equal(caffe.io.load_image(file), caffe.io.load_image(picture))


def test_resize_image_fades_to_the_least_value_outside():
    """skimage's values: pixels are areas, and outside of a picture of 1 or 3 channels is what is least in it."""
    grown = caffe.io.resize_image(np.arange(12, dtype=np.float32).reshape(2, 2, 3) + 5, (4, 4))
    np.testing.assert_allclose(grown[0, 0], [5, 5.5625, 6.125])


def test_resize_image_does_not_blur_what_it_makes_smaller():
    stripes = np.tile(np.array([0, 1, 1, 0], np.float32), (4, 2))[:, :, None]
    np.testing.assert_array_equal(caffe.io.resize_image(stripes, (4, 4), 0)[0, :, 0], [1, 0, 1, 0])


@pytest.mark.parametrize(
    ("image", "shape", "options", "want"),
    [
        (np.arange(4.0).reshape(1, 4), (1, 2), {}, [[0.5, 2.5]]),  # no blur: between two pixels
        (np.full((2, 2), 51, np.uint8), (1, 1), {}, [[0.2]]),
        (np.full((2, 2), 51, np.uint8), (1, 1), {"preserve_range": True}, [[51]]),
        (np.array([[2.0, 4.0]]), (1, 4), {"clip": False}, [[1.5, 2.5, 3.5, 3.0]]),  # fades to 0 outside
        (np.array([[2.0, 4.0]]), (1, 4), {}, [[2, 2.5, 3.5, 3.0]]),
        (np.array([[2.0, 4.0]]), (1, 4), {"mode": "edge"}, [[2, 2.5, 3.5, 4.0]]),
    ],
)
def test_resize_is_skimages(image, shape, options, want):
    np.testing.assert_allclose(caffe.io.resize(image, shape, **options), want)


def test_resize_keeps_the_axes_that_no_size_is_given_for():
    assert caffe.io.resize(np.zeros((4, 6, 3)), (2, 3)).shape == (2, 3, 3)
    assert caffe.io.resize(np.zeros((4, 6, 3)), (2, 3, 3)).shape == (2, 3, 3)
    with pytest.raises(ValueError, match=r"shape \[4, 6\] to \[3, 3, 3\].*constant, edge"):
        caffe.io.resize(np.zeros((4, 6)), (3, 3, 3))


def test_skimage_is_where_programs_have_it_from_or_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage", None)
    with pytest.raises(ModuleNotFoundError, match="pip install scikit-image"):
        caffe.io.skimage.io  # noqa: B018
    monkeypatch.setitem(sys.modules, "skimage", types.SimpleNamespace())
    monkeypatch.setitem(sys.modules, "skimage.io", types.SimpleNamespace())
    assert caffe.io.skimage is sys.modules["skimage"]


def test_resize_image_takes_channels_too():
    im = np.random.default_rng(0).random((4, 6, 3), np.float32)
    np.testing.assert_array_equal(caffe.io.resize_image(im, (2, 3, 3)), caffe.io.resize_image(im, (2, 3)))
    np.testing.assert_allclose(caffe.io.resize_image(im, (4, 6, 1)), im[:, :, 1:2], rtol=1e-6)


def test_resize_image_of_other_channels_keeps_corners():
    """scipy.ndimage's values."""
    im = np.arange(8, dtype=np.float32).reshape(2, 2, 2)
    np.testing.assert_allclose(caffe.io.resize_image(im, (2, 3))[:, :, 0], [[0, 1, 2], [4, 5, 6]])


@pytest.mark.parametrize(
    ("shape", "dims", "order"), [((4, 4), (2, 2), 1), ((4, 4, 3), (0, 2), 1), ((4, 4, 3), (2, 2), 6)]
)
def test_resize_image_refuses(shape, dims, order):
    with pytest.raises(ValueError, match="the order must be 0 to 5"):
        caffe.io.resize_image(np.zeros(shape), dims, order)


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
    assert caffe.io.blobproto_to_array(blob).dtype == np.float64
    np.testing.assert_array_equal(caffe.io.blobproto_to_array(blob, return_diff=True), diff)


def test_lists_of_arrays_go_and_come_back():
    arrays = [np.arange(6, dtype=np.float32).reshape(2, 3), np.float32([7])]
    wire = caffe.io.arraylist_to_blobprotovector_str(arrays)
    assert isinstance(wire, bytes)
    for got, want in zip(caffe.io.blobprotovector_str_to_arraylist(wire), arrays, strict=True):
        np.testing.assert_array_equal(got, want)
    with pytest.raises(DataError, match="not a BlobProtoVector"):
        caffe.io.blobprotovector_str_to_arraylist(b"\xff\xff")


def test_arrays_of_blobs_and_datums_may_be_written():
    for array in (
        caffe.io.blobproto_to_array(caffe.io.array_to_blobproto(np.ones(2))),
        caffe.io.datum_to_array(caffe.io.array_to_datum(np.ones((1, 1, 2), np.uint8))),
    ):
        array[...] = 2
        assert (array == 2).all()


@pytest.mark.parametrize(
    "call",
    [
        lambda: caffe.io.blobproto_to_array(caffe.io.caffe_pb2.BlobProto(data=[1, 2])),
        lambda: caffe.io.array_to_datum(np.zeros(3)),
        lambda: caffe.io.datum_to_array(caffe.io.caffe_pb2.Datum(channels=1, height=2, width=2, data=b"x")),
        lambda: caffe.io.oversample([RGB], (9, 9)),
        lambda: caffe.io.oversample([], (4, 4)),
    ],
)
def test_arrays_that_do_not_fit_are_value_errors(call):
    with pytest.raises(ValueError, match=r"holds|shape|crop|channels"):
        call()


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_datums_go_and_come_back(dtype):
    array = np.arange(12).reshape(3, 2, 2).astype(dtype)
    datum = caffe.io.array_to_datum(array, 7)
    assert datum.label == 7
    np.testing.assert_array_equal(caffe.io.datum_to_array(datum), array)
    assert caffe.io.datum_to_array(datum).dtype == (np.uint8 if dtype == np.uint8 else np.float64)


@pytest.mark.parametrize(("label", "kept"), [(True, 1), (False, 0), (np.uint8(3), 3), (np.array(3), 3)])
def test_a_datum_takes_every_whole_label(label, kept):
    assert caffe.io.array_to_datum(np.zeros((1, 1, 1), np.uint8), label).label == kept


def test_a_datum_takes_no_fraction_for_a_label():
    with pytest.raises(TypeError, match="float"):
        caffe.io.array_to_datum(np.zeros((1, 1, 1), np.uint8), 3.0)


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


def test_what_is_preprocessed_stays_as_it_was():
    im = np.ones((6, 8, 3), np.float32)
    t = caffe.io.Transformer({"data": (1, 3, 6, 8)})
    t.set_raw_scale("data", 255)
    t.preprocess("data", im)
    assert (im == 1).all()


@pytest.mark.parametrize("shape", [(3, 12, 16), (12, 16), (1, 12, 16)])
def test_a_mean_of_another_size_is_resized(shape):
    t = caffe.io.Transformer({"data": (1, 3, 6, 8)})
    mean = np.linspace(0, 255, np.prod(shape)).reshape(shape)
    t.set_mean("data", mean)
    planes = mean.reshape(-1, 12, 16)
    want = caffe.io.resize_image(planes.transpose(1, 2, 0), (6, 8)).transpose(2, 0, 1)
    np.testing.assert_allclose(t.mean["data"], want, rtol=1e-5)


def test_a_constant_mean_of_another_size_stays_constant():
    t = caffe.io.Transformer({"data": (1, 1, 6, 8)})
    t.set_mean("data", np.full((3, 3), 7))
    assert (t.mean["data"] == np.full((1, 6, 8), 7)).all()


def test_a_picture_of_one_channel_is_deprocessed():
    t = caffe.io.Transformer({"data": (1, 1, 6, 8)})
    t.set_transpose("data", (2, 0, 1))
    t.set_mean("data", np.ones((6, 8)))
    assert t.deprocess("data", np.zeros((1, 1, 6, 8))).shape == (6, 8, 1)


def test_a_step_that_is_none_is_left_out():
    t = caffe.io.Transformer({"data": (1, 3, 6, 8)})
    t.set_raw_scale("data", None)
    t.transpose["data"] = t.channel_swap["data"] = t.mean["data"] = t.input_scale["data"] = None
    picture = np.ones((6, 8, 3), np.float32)
    np.testing.assert_array_equal(t.preprocess("data", picture), picture)
    np.testing.assert_array_equal(t.deprocess("data", picture), picture)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda t: t.set_mean("data", "mean.npy"), "numpy.load reads a .npy"),
        (lambda t: t.set_mean("data", np.zeros((2, 6, 8))), r"\[2, 6, 8\] does not fit"),
        (lambda t: t.set_mean("data", np.zeros((1, 3, 6, 8))), r"mean\[0\]"),
        (lambda t: t.set_transpose("data", (0, 1)), "not a permutation of the 3 axes"),
        (lambda t: t.set_channel_swap("data", (1, 0)), "has 3 channels"),
        (lambda t: t.set_channel_swap("data", (3, 2, 1)), "numbered from 0"),
        (lambda t: t.set_mean("data", np.zeros(4)), r"\[4\] does not fit"),
        (lambda t: t.preprocess("image", RGB), '"image" is not an input; the inputs are data'),
    ],
)
def test_transformer_refuses(call, message):
    with pytest.raises(NetError, match=message):
        call(caffe.io.Transformer({"data": (1, 3, 6, 8)}))


def test_a_picture_that_is_not_there_is_a_file_that_was_not_found(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no.png: cannot be read: No such file"):
        caffe.io.load_image(tmp_path / "no.png")
