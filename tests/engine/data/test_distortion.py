import numpy as np
import pytest

from engine.data import distortion
from engine.errors import DataError
from engine.proto import caffe_pb2 as pb

GREY = np.full((4, 8, 3), 100, np.uint8)
RED = np.full((4, 8, 3), (20, 40, 200), np.uint8)


def rng():
    return np.random.default_rng(2)


@pytest.mark.parametrize(
    ("param", "picture", "fits"),
    [
        ({"brightness_prob": 1, "brightness_delta": 30}, GREY, lambda x: np.all((x >= 70) & (x <= 130) & (x != 100))),
        (
            {"contrast_prob": 1, "contrast_lower": 0.5, "contrast_upper": 0.6},
            GREY,
            lambda x: np.all((x >= 50) & (x <= 60)),
        ),
        ({"contrast_prob": 1, "contrast_lower": 9, "contrast_upper": 9}, GREY, lambda x: np.all(x == 255)),
        ({"saturation_prob": 1, "saturation_lower": 0, "saturation_upper": 0}, RED, lambda x: np.all(x == 200)),
        ({"hue_prob": 1, "hue_delta": 40}, RED, lambda x: x.max() == 200 and np.any(x != RED)),
        ({"random_order_prob": 1}, RED, lambda x: sorted(x[0, 0]) == [20, 40, 200]),
        ({}, RED, lambda x: np.array_equal(x, RED)),
    ],
)
def test_colours_change_as_is_asked(param, picture, fits):
    assert fits(distortion.distort(picture, pb.DistortionParameter(**param), rng()))


def test_colours_of_a_grey_picture_cannot_be_changed():
    with pytest.raises(DataError, match="has 1 channels"):
        distortion.distort(GREY[:, :, :1], pb.DistortionParameter(), rng())


def test_ranges_may_end_in_minus_zero():
    param = pb.DistortionParameter(brightness_prob=1, brightness_delta=-0.0, hue_prob=1, hue_delta=-0.0)
    assert np.array_equal(distortion.distort(GREY, param, rng()), GREY)


def test_a_ground_of_more_pixels_than_pictures_have_is_refused():
    with pytest.raises(DataError, match=r"would be expanded to \d+×\d+, and pictures have .* pixels at most"):
        distortion.expand(RED, pb.ExpansionParameter(prob=1, max_expand_ratio=1e30), np.array([]), rng())


def test_a_picture_is_put_on_a_larger_ground():
    larger, part = distortion.expand(
        RED, pb.ExpansionParameter(prob=1, max_expand_ratio=4), np.array([1, 2, 3.0]), rng()
    )
    height, width = larger.shape[:2]
    assert (height, width) > (4, 8)
    left, top = round(-part[0] * 8), round(-part[1] * 4)
    assert np.array_equal(larger[top : top + 4, left : left + 8], RED)
    assert (larger == (1, 2, 3)).all(-1).sum() == height * width - 32
    np.testing.assert_allclose(part[2:] - part[:2], [width / 8, height / 4], rtol=1e-6)


@pytest.mark.parametrize("param", [{"prob": 0, "max_expand_ratio": 4}, {"prob": 1, "max_expand_ratio": 1}])
def test_a_picture_may_stay_as_it_is(param):
    same, part = distortion.expand(RED, pb.ExpansionParameter(**param), np.array([]), rng())
    assert same is RED
    assert part is None


@pytest.mark.parametrize(
    ("mode", "shape"),
    [("WARP", (6, 6)), ("FIT_LARGE_SIZE_AND_PAD", (6, 6)), ("FIT_SMALL_SIZE", (6, 12))],
)
def test_a_picture_is_resized_as_is_asked(mode, shape):
    param = pb.ResizeParameter(resize_mode=mode, height=6, width=6, pad_value=[7], interp_mode=["AREA", "LINEAR"])
    small = distortion.resize(RED, param, rng())
    assert small.shape == (*shape, 3)
    edge = (7, 7, 7) if mode == "FIT_LARGE_SIZE_AND_PAD" else (20, 40, 200)
    assert small[0, 0].tolist() == list(edge)


def test_a_grey_picture_keeps_its_axis():
    assert distortion.resize(GREY[:, :, :1], pb.ResizeParameter(height=2, width=3), rng()).shape == (2, 3, 1)


@pytest.mark.parametrize(
    ("check", "param", "message"),
    [
        (distortion.check_resize, pb.ResizeParameter(height=3), "width 0"),
        (distortion.check_resize, pb.ResizeParameter(height=3, width=3, prob=-1), "prob is -1"),
        (distortion.check_expansion, pb.ExpansionParameter(max_expand_ratio=0.5), "max_expand_ratio is 0.5"),
        (distortion.check_expansion, pb.ExpansionParameter(max_expand_ratio=np.inf), "max_expand_ratio is inf"),
        (distortion.check_distortion, pb.DistortionParameter(brightness_delta=np.inf), "brightness_delta is inf"),
        (distortion.check_distortion, pb.DistortionParameter(hue_delta=-1), "hue_delta is -1"),
        (
            distortion.check_distortion,
            pb.DistortionParameter(contrast_lower=2, contrast_upper=1),
            "contrast from 2 to 1",
        ),
    ],
)
def test_numbers_that_contradict_each_other_are_refused(check, param, message):
    with pytest.raises(DataError, match=message):
        check(param)
