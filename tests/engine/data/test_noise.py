import numpy as np
import pytest

from engine.data import noise
from engine.errors import DataError
from engine.proto import caffe_pb2 as pb
from engine.proto import text

RAMP = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3) * 14


def applied(picture, param):
    p = text.parse(param, pb.NoiseParameter)
    noise.check(p)
    return noise.apply(picture, p, np.random.default_rng(1))


@pytest.mark.parametrize(
    ("param", "want"),
    [
        ("inverse: true", 255 - RAMP),
        ("posterize: true", RAMP // 64 * 64 + 32),
        ("posterize: true inverse: true", 255 - (RAMP // 64 * 64 + 32)),
        ("prob: 1", RAMP),
        ("saltpepper: true saltpepper_param { fraction: 0 value: 3 }", RAMP),
    ],
)
def test_each_change_is_that_of_its_field(param, want):
    assert np.array_equal(applied(RAMP, param), want)


def test_a_grey_picture_keeps_its_channels():
    grey = applied(RAMP, "decolorize: true")
    assert grey.shape == RAMP.shape
    assert (grey[..., :1] == grey).all()
    assert applied(RAMP[..., :1], "hist_eq: true erode: true gauss_blur: true clahe: true").shape == (2, 3, 1)


def test_pepper_is_strewn_over_a_part_of_the_pixels():
    black = np.zeros((20, 20, 3), np.uint8)
    strewn = applied(black, "saltpepper: true saltpepper_param { fraction: 0.25 value: 7 value: 8 value: 9 }")
    coloured = strewn.any(-1)
    assert 50 < coloured.sum() <= 100
    assert (strewn[coloured] == (7, 8, 9)).all()
    assert not black.any()


@pytest.mark.parametrize(
    ("param", "said"),
    [
        ("convert_to_lab: true", "convert_to_lab makes fractions"),
        ("saltpepper: true", "needs saltpepper_param with a value"),
        ("saltpepper: true saltpepper_param { value: 1 fraction: 2 }", "fraction is 2"),
        ("saltpepper: true saltpepper_param { value: 1 value: 2 }", "3 channels and saltpepper_param has 2 value"),
        ("saltpepper_param { value: 300 }", "value 300"),
        ("jpeg: 200", "jpeg is 200"),
    ],
)
def test_what_means_nothing_is_refused(param, said):
    with pytest.raises(DataError, match=said):
        applied(RAMP, param)


@pytest.mark.parametrize("param", ["decolorize: true", "jpeg: 90", "convert_to_hsv: true"])
def test_changes_of_colours_need_some(param):
    with pytest.raises(DataError, match="has 1 channels"):
        applied(RAMP[..., :1], param)
