import struct
import zlib

import cv2
import numpy as np
import pytest

from engine.data.datum import Colour, parse, pixels, raw
from engine.errors import DataError
from engine.proto import caffe_pb2 as pb

PICTURE = np.arange(3 * 4 * 5, dtype=np.uint8).reshape(3, 4, 5)


def test_raw_pixels_come_back():
    datum = parse(raw(PICTURE, 7).SerializeToString())
    assert datum.label == 7
    assert np.array_equal(pixels(datum), PICTURE)


def test_float_data():
    datum = pb.Datum(channels=2, height=1, width=2, float_data=[0.5, -1, 2, 3])
    assert pixels(datum).dtype == np.float32
    assert pixels(datum).tolist() == [[[0.5, -1]], [[2, 3]]]


@pytest.mark.parametrize(
    ("colour", "channels"),
    [(Colour.AS_STORED, 3), (Colour.COLOUR, 3), (Colour.GREY, 1)],
    ids=lambda x: getattr(x, "name", x),
)
def test_an_encoded_picture_is_decoded_in_bgr_order(colour, channels):
    stored = PICTURE.transpose(1, 2, 0)
    datum = pb.Datum(data=cv2.imencode(".png", stored)[1].tobytes(), encoded=True)
    got = pixels(datum, colour)
    grey = cv2.cvtColor(stored, cv2.COLOR_BGR2GRAY)[None]  # the PNG library rounds another way
    assert np.abs(got - np.float32(grey)).max() <= 1 if channels == 1 else np.array_equal(got, PICTURE)


def test_a_grey_encoded_picture_keeps_its_one_channel():
    data = cv2.imencode(".png", PICTURE[0])[1].tobytes()
    assert pixels(pb.Datum(data=data, encoded=True)).shape == (1, 4, 5)
    assert pixels(pb.Datum(data=data, encoded=True), Colour.COLOUR).shape == (3, 4, 5)


COLOURS = np.array([[[10, 20, 30], [200, 100, 0]]], np.uint8)


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("16 bits", COLOURS.astype(np.uint16) << 8 | 0x7F),
        ("alpha", np.dstack([COLOURS, np.uint8([[7, 255]])])),
        ("colour", COLOURS),
    ],
)
def test_colour_is_three_channels_of_8_bits_whatever_is_stored(name, stored):
    got = pixels(_encoded(cv2.imencode(".png", stored)[1].tobytes()), Colour.COLOUR)
    assert np.array_equal(got.transpose(1, 2, 0), COLOURS)


def test_an_alpha_channel_is_there_as_stored():
    stored = np.dstack([COLOURS, np.uint8([[7, 255]])])
    got = pixels(_encoded(cv2.imencode(".png", stored)[1].tobytes()))
    assert np.array_equal(got.transpose(1, 2, 0), stored)


@pytest.mark.parametrize("kind", [".jpg", ".webp", ".bmp"])
def test_other_formats(kind):
    stored = np.full((16, 16, 3), (60, 120, 180), np.uint8)
    got = pixels(_encoded(cv2.imencode(kind, stored)[1].tobytes()))
    assert np.abs(got.transpose(1, 2, 0) - np.float32(stored)).max() <= 3


def test_a_bit_flipped_in_the_pixels_of_a_png_is_seen():
    good = cv2.imencode(".png", np.arange(400, dtype=np.uint8).reshape(20, 20))[1].tobytes()
    begin = good.index(b"IDAT")
    for at in range(begin + 4, good.index(b"IEND") - 8, 7):
        with pytest.raises(DataError, match="holds a PNG whose chunk IDAT does not match its checksum"):
            pixels(_encoded(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :]))


def _encoded(data: bytes) -> pb.Datum:
    return pb.Datum(encoded=True, data=data)


def bomb(width: int, height: int) -> bytes:
    """A PNG that says to be of this size."""
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    good = cv2.imencode(".png", PICTURE.transpose(1, 2, 0))[1].tobytes()
    return good[:12] + head + struct.pack(">I", zlib.crc32(head)) + good[33:]


@pytest.mark.parametrize(
    ("datum", "says"),
    [
        (pb.Datum(), "0×0×0 .* holds 0 values"),
        (pb.Datum(channels=3, height=2, width=2, data=b"short"), "3×2×2 .* holds 5 values"),
        (pb.Datum(channels=1, height=2, width=2, float_data=[1, 2]), "1×2×2 .* holds 2 values"),
        (pb.Datum(channels=-1, height=-1, width=5, data=b"short"), "-1×-1×5 .* holds 5 values"),
        (
            _encoded(bomb(4, 4)[:33] + b"\x7f\xff\xff\xffIDATxyz"),
            "a PNG of 44 bytes with a chunk that says .* 2,147,483,647",
        ),
        (_encoded(bomb(60_000, 60_000)), "that OpenCV cannot decode .* it takes pictures of [0-9,]+ pixels at most"),
        (_encoded(bomb(2**31 - 1, 1)), "that OpenCV cannot decode|no picture"),
        (_encoded(b""), "0 bytes that are no picture"),
        (_encoded(b"no picture"), "10 bytes that are no picture"),
        (_encoded(cv2.imencode(".png", np.zeros((4, 4), np.uint16))[1].tobytes()), "uint16 .* 8 bits"),
    ],
)
def test_bad_pixels_are_an_error(datum, says):
    with pytest.raises(DataError, match=says):
        pixels(datum)


def test_bytes_that_are_no_datum():
    with pytest.raises(DataError, match=r"not a Datum record \(7 bytes\)"):
        parse(b"garbage")
