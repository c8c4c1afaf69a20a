import os
import struct
import subprocess
import sys
import zlib

import cv2
import numpy as np
import pytest

from engine.data.datum import Colour, parse, pixels, raw, stacked
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


def test_a_chunk_whose_type_is_no_text_is_told():
    good = cv2.imencode(".png", np.zeros((4, 4), np.uint8))[1].tobytes()
    with pytest.raises(DataError):
        pixels(_encoded(good.replace(b"IHDR", b"\xc9HDR")))


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
            "a PNG of 44 bytes with a chunk that claims .* 2,147,483,647",
        ),
        (_encoded(bomb(60_000, 60_000)), "that OpenCV cannot decode .* a picture may have [0-9,]+ pixels at most"),
        (_encoded(bomb(2**31 - 1, 1)), "that OpenCV cannot decode|not a picture"),
        (_encoded(b""), "0 bytes that are not a picture"),
        (_encoded(b"no picture"), "10 bytes that are not a picture"),
        (_encoded(cv2.imencode(".png", np.zeros((4, 4), np.uint16))[1].tobytes()), "uint16 .* 8 bits"),
    ],
)
def test_bad_pixels_are_an_error(datum, says):
    with pytest.raises(DataError, match=says):
        pixels(datum)


def test_bytes_that_are_no_datum():
    with pytest.raises(DataError, match=r"not a Datum record \(7 bytes\)"):
        parse(b"garbage")
    with pytest.raises(DataError, match=r"an AnnotatedDatum record.* the layer AnnotatedData reads those"):
        parse(pb.AnnotatedDatum(datum=pb.Datum(encoded=True, data=b"x", label=1)).SerializeToString())


def together(*records):
    return stacked([record.SerializeToString() for record in records])


@pytest.mark.parametrize("labels", [(0, 1, 127), (128, 300, 16383)])
def test_raw_records_of_one_layout_are_taken_together(labels):
    pictures = [np.random.default_rng(label).integers(256, size=(2, 3, 4), dtype=np.uint8) for label in labels]
    got, told = together(*map(raw, pictures, labels))
    assert np.array_equal(got, np.stack(pictures))
    assert told.tolist() == list(labels)


def test_a_record_without_a_label_has_label_0():
    record = pb.Datum(channels=1, height=1, width=2, data=b"ab")
    got, labels = together(record, record)
    assert (got.ravel().tolist(), labels.tolist()) == ([97, 98, 97, 98], [0, 0])


RAW = pb.Datum(channels=1, height=2, width=2, data=b"abcd", label=5)


@pytest.mark.parametrize(
    "others",
    [
        [pb.Datum(channels=1, height=2, width=2, data=b"abcd", label=300)],
        [pb.Datum(channels=2, height=2, width=1, data=b"abcd", label=5)],
        [pb.Datum(channels=1, height=2, width=2, data=b"abcd", label=-1)] * 2,
        [pb.Datum(channels=1, height=2, width=2, data=b"abcd", label=5, encoded=True)] * 2,
        [pb.Datum(channels=1, height=1, width=2, float_data=[1, 2], label=5)] * 2,
        [pb.Datum(channels=1, height=2, width=2, data=b"abc", label=5)] * 2,
        [pb.Datum()] * 2,
    ],
)
def test_what_is_not_of_one_layout_is_left_to_be_taken_one_by_one(others):
    first = RAW if len(others) == 1 else others[0]
    assert together(first, others[-1]) is None


def test_a_field_that_stands_twice_or_is_cut_short_is_no_layout():
    value = RAW.SerializeToString()
    for other in (value + b"\x28\x07", value[:-1], value[:-3], b"\xff" * 20, b""):
        assert stacked([other]) is None


def test_a_library_says_nothing_of_its_own_about_a_damaged_picture():
    decode = "import sys, engine.data.datum as d; d.pixels(d.parse(sys.stdin.buffer.read()))"
    whole = cv2.imencode(".png", np.zeros((6, 6, 3), np.uint8))[1].tobytes()
    clean = {name: value for name, value in os.environ.items() if name != "OPENCV_LOG_LEVEL"}
    done = subprocess.run(
        [sys.executable, "-c", decode],
        input=_encoded(whole[:30]).SerializeToString(), capture_output=True, timeout=60, check=False, env=clean,
    )  # fmt: skip
    said = done.stderr.decode().splitlines()
    assert said[0].startswith("Traceback")
    assert "DataError: holds 30 bytes" in said[-1]
