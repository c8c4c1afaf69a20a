"""JPEG pictures to pixels, beside OpenCV's, and what is told of damaged ones."""

import struct
from itertools import product

import cv2
import numpy as np
import pytest
from support.exif import exif

from engine.data import jpeg
from engine.errors import DataError

MOST = 1 << 20
SAMPLING = {"444": 0x111111, "422": 0x211111, "420": 0x221111, "440": 0x121111, "411": 0x411111}


def picture(height=37, width=50):
    rng = np.random.default_rng(height)
    coarse = cv2.resize(rng.integers(256, size=(5, 5, 3), dtype=np.uint8), (width, height))
    return cv2.add(coarse, rng.integers(40, size=coarse.shape, dtype=np.uint8))


def packed(pixels, **options):
    flags = [value for name, of in options.items() for value in (getattr(cv2, f"IMWRITE_JPEG_{name}"), of)]
    return cv2.imencode(".jpg", pixels, flags)[1].tobytes()


def with_segment(kind, contents):
    return GOOD[:2] + bytes([0xFF, kind]) + struct.pack(">H", len(contents) + 2) + contents + GOOD[2:]


def opencv(data, grey=None):
    flag = {None: cv2.IMREAD_UNCHANGED, True: cv2.IMREAD_GRAYSCALE, False: cv2.IMREAD_COLOR}[grey]
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    return pixels if pixels.ndim == 3 else pixels[..., None]


def complaint(data):
    """What is said of a picture; nothing of a good one."""
    try:
        pixels = jpeg.decode(data, MOST)
    except DataError as e:
        return str(e)
    assert pixels is None or pixels.dtype == np.uint8
    return ""


GOOD = packed(picture())
SIZES = [(37, 50), (1, 1), (16, 16), (3, 70)]


@pytest.mark.parametrize("sampling", SAMPLING)
@pytest.mark.parametrize("progressive", [0, 1])
def test_pixels_are_those_of_opencv(sampling, progressive):
    for size, restart, grey in product(SIZES, (0, 2), (None, True, False)):
        options = {"SAMPLING_FACTOR": SAMPLING[sampling], "PROGRESSIVE": progressive, "RST_INTERVAL": restart}
        data = packed(picture(*size), **options)
        assert np.array_equal(jpeg.decode(data, MOST, grey), opencv(data, grey))


@pytest.mark.parametrize("grey", [None, True, False])
def test_pixels_of_a_grey_one_are_those_of_opencv(grey):
    data = packed(picture()[..., 0])
    assert np.array_equal(jpeg.decode(data, MOST, grey), opencv(data, grey))


@pytest.mark.parametrize(
    "data",
    [
        GOOD + b"behind its end" * 9,
        with_segment(0xEB, b"of nobody knows which program"),
        with_segment(0xE1, b"Exif\0\0II*\0\xff\xff"),
        with_segment(0xE1, exif(1)),
        with_segment(0xE2, b"ICC_PROFILE\0\1\1any"),
    ],
)
@pytest.mark.parametrize("grey", [None, False])
def test_what_is_said_beside_the_pixels_does_not_matter(data, grey):
    assert np.array_equal(jpeg.decode(data, MOST, grey), opencv(GOOD, grey))


def test_one_that_lacks_nothing_but_its_end_is_whole():
    assert np.array_equal(jpeg.decode(GOOD[:-2], MOST), opencv(GOOD))


@pytest.mark.parametrize(
    "data",
    [
        GOOD.replace(b"JFIF\0\1", b"JFIF\0\3"),
        with_segment(0xE2, b"ICC_PROFILE\0\5\1odd"),
        GOOD[:-2] + bytes(70) + GOOD[-2:],
        b"\xff\xd8\xff",
        b"\xff\xd8\xff\xe0\0",
    ],
    ids=["a later JFIF", "ICC in odd parts", "filled up", "cut off", "cut off in a segment"],
)
def test_odd_ones_are_left_to_opencv(data):
    assert jpeg.decode(data, MOST) is None


@pytest.mark.parametrize("value", range(2, 9))
def test_one_that_is_turned_is_left_to_opencv(value):
    data = with_segment(0xE1, exif(value))
    assert jpeg.decode(data, MOST, grey=False) is None
    assert np.array_equal(jpeg.decode(data, MOST), opencv(data))


def test_one_of_more_pixels_is_left_to_opencv():
    assert jpeg.decode(GOOD, 37 * 50 - 1) is None


def test_a_few_bytes_that_say_to_be_a_large_picture_are_refused_at_once():
    size = GOOD.index(b"\xff\xc0") + 5
    data = GOOD[:size] + (20_000).to_bytes(2) + (20_000).to_bytes(2) + GOOD[size + 4 :]
    with pytest.raises(DataError, match=r"one of [0-9,]+ bytes that claims to be 20000×20000"):
        jpeg.decode(data, 1 << 30)


def test_some_of_the_flipped_bits_are_seen():
    """Those after which libjpeg loses its way: the others make another picture, as good as any."""
    begin = GOOD.index(b"\xff\xda") + 14
    said = [complaint(GOOD[:at] + bytes([GOOD[at] ^ 0x10]) + GOOD[at + 1 :]) for at in range(begin, len(GOOD) - 2)]
    assert sum(each.startswith('holds a damaged JPEG: libjpeg says "') for each in said) > len(said) // 20


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (GOOD[:-400], "premature end of data segment"),
        (GOOD[:-400] + GOOD[-2:], "premature end of data segment"),
        (GOOD[:-2] + bytes(range(1, 60)) + GOOD[-2:], "extraneous bytes before marker 0xd9"),
    ],
)
def test_damage_is_told_in_libjpegs_words(data, says):
    with pytest.raises(DataError, match=f'libjpeg says "Corrupt JPEG data: .*{says}"'):
        jpeg.decode(data, MOST)


def test_bytes_put_anywhere_never_bring_it_down():
    rng = np.random.default_rng(1)
    for _ in range(500):
        data = bytearray(GOOD)
        for at in rng.integers(len(data), size=rng.integers(1, 5)):
            data[at] = rng.integers(256)
        said = complaint(bytes(data[: rng.integers(1, len(data))] if rng.integers(2) else data))
        assert not said or "libjpeg says" in said
