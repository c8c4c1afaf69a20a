"""Random sizes of Intel's and NVIDIA's transform_param: what becomes of pictures, and what is refused."""

import cv2
import numpy as np
import pytest

from engine.data import random_sizes
from engine.data.source import draws
from engine.data.transform import Misfit, Transform
from engine.errors import DataError
from engine.proto import binary, text
from engine.proto import caffe_pb2 as pb

WIDE = np.random.default_rng(1).integers(256, size=(3, 20, 32), dtype=np.uint8)
LINEAR = "resize_param { interp_mode: LINEAR }"


def param(options):
    return text.parse(options, pb.TransformationParameter)


def run(options, picture=WIDE, phase=pb.TRAIN, count=40, mean=None):
    transform = Transform(param(options), phase, mean)
    out = np.empty((count, *transform.shape(picture.shape)), np.float32)
    transform([picture] * count, draws(0, 0, count), out)
    return out


def sizes(options, picture=WIDE, count=200):
    rng = np.random.default_rng(2)
    resizing = random_sizes.of(param(options))
    return [resizing.change(picture, rng).shape[1:] for _ in range(count)]


def test_no_field_asks_for_nothing():
    assert random_sizes.of(param("crop_size: 8 use_gpu_transform: true forward_packing: NHWC")) is None


def test_the_shorter_side_is_as_long_as_is_drawn_and_the_shape_stays():
    found = sizes("crop_size: 8 random_resize_param { min_size: 10 max_size: 15 }")
    assert {height for height, _ in found} == set(range(10, 16))
    assert all(width == int(np.float32(1.6) * height) for height, width in found)


def test_without_bounds_the_shorter_side_goes_up_to_the_longer():
    found = sizes("crop_size: 8 random_resize_param { }", WIDE.transpose(0, 2, 1))
    assert {width for _, width in found} == set(range(20, 33))


def test_a_test_of_one_size_cuts_the_middle_of_what_opencv_makes():
    options = f"crop_size: 8 mean_value: 3 scale: 0.5 random_resize_param {{ min_size: 10 max_size: 10 {LINEAR} }}"
    whole = cv2.resize(WIDE.transpose(1, 2, 0), (16, 10), interpolation=cv2.INTER_LINEAR).transpose(2, 0, 1)
    want = (whole[:, 1:9, 4:12].astype(np.float32) - 3) / 2
    assert np.array_equal(run(options, phase=pb.TEST, count=1)[0], want)


def test_parts_are_of_the_areas_and_shapes_that_are_asked_for_and_fill_the_crop(monkeypatch):
    taken = []
    real = random_sizes._resized

    def noted(picture, *size):
        taken.append(picture.shape[1:])
        return real(picture, *size)

    monkeypatch.setattr(random_sizes, "_resized", noted)
    options = (
        "crop_size: 8 random_aspect_ratio_param { min_area_ratio: 0.25 aspect_ratio_change: 0.75 max_attempt: 50 }"
    )
    assert set(sizes(options, np.zeros((1, 100, 100), np.uint8))) == {(8, 8)}
    areas = np.array([h * w / 1e4 for h, w in taken])
    shapes = np.array([h / w for h, w in taken])
    assert 0.23 < areas.min() < 0.35
    assert 0.8 < areas.max() <= 1
    assert 0.75**2 - 0.05 < shapes.min() < 0.7
    assert 1.4 < shapes.max() < 0.75**-2 + 0.1


def test_where_no_part_fits_all_is_stretched():
    options = "crop_size: 8 random_aspect_ratio_param { min_area_ratio: 1 aspect_ratio_change: 0.9 max_attempt: 1 }"
    found = sizes(options, np.zeros((3, 2, 90), np.uint8))
    assert (8, 360) in found


def test_sides_are_drawn_then_stretched_and_never_below_the_crop():
    lower = "crop_size: 12 img_rand_resize_lower: 10 img_rand_resize_upper: 15"
    assert {height for height, _ in sizes(lower)} == {12, 13, 14, 15}
    found = sizes(lower + " horizontal_stretch_lower: 0.5 horizontal_stretch_upper: 0.75")
    assert {width for _, width in found} == set(range(12, 19))


def test_a_ratio_sets_the_longer_side_of_squares_too():
    square = np.zeros((1, 20, 20), np.uint8)
    found = sizes(
        "crop_size: 4 img_rand_resize_lower: 10 img_rand_resize_upper: 10 "
        "rand_resize_ratio_lower: 1 rand_resize_ratio_upper: 1.5",
        square,
    )
    assert {min(size) for size in found} == {10}
    assert {height for height, _ in found} == {width for _, width in found} == set(range(10, 16))


def test_nothing_grows_unless_that_is_allowed():
    options = "crop_size: 12 img_rand_resize_lower: 40 img_rand_resize_upper: 40"
    assert set(sizes(options)) == {(20, 32)}
    assert set(sizes(options + " allow_upscale: true")) == {(40, 64)}


def test_shrinking_takes_the_nearest_pixel_unless_said_otherwise():
    options = "crop_size: 10 img_rand_resize_lower: 10 img_rand_resize_upper: 10"
    nearest = cv2.resize(WIDE.transpose(1, 2, 0), (16, 10), interpolation=cv2.INTER_NEAREST).transpose(2, 0, 1)
    assert np.array_equal(run(options, phase=pb.TEST, count=1)[0], nearest[:, :, 3:13])
    assert not np.array_equal(
        run(options + " interpolation_algo_down: INTER_AREA", phase=pb.TEST, count=1)[0], nearest[:, :, 3:13]
    )


def test_the_middle_of_a_mean_is_subtracted_wherever_the_crop_lies(tmp_path):
    mean = np.arange(3 * 14 * 14, dtype=np.float32).reshape(3, 14, 14)
    path = tmp_path / "mean.binaryproto"
    binary.write(path, pb.BlobProto(num=1, channels=3, height=14, width=14, data=mean.ravel()))
    flat = np.full((3, 20, 20), 7, np.uint8)
    options = "crop_size: 10 mirror: true img_rand_resize_lower: 12 img_rand_resize_upper: 20"
    middle = 7 - mean[:, 2:12, 2:12]
    got = run(options + ' mean_file: "mean.binaryproto"', flat, mean=path)
    kinds = [min((0, 1), key=lambda flip: abs(x - (middle, middle[..., ::-1])[flip]).max()) for x in got]
    assert set(kinds) == {0, 1}
    for x, flip in zip(got, kinds, strict=True):
        assert np.array_equal(x, (middle, middle[..., ::-1])[flip])


def test_a_device_is_given_floats_and_draws_decide_all():
    transform = Transform(param("crop_size: 8 random_resize_param { }"), pb.TRAIN)
    transform.on_device = True
    assert transform.stored(WIDE) == np.float32
    options = "crop_size: 8 random_aspect_ratio_param { }"
    assert np.array_equal(run(options), run(options))
    assert len({x.tobytes() for x in run(options)}) > 20


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("random_resize_param { }", "random_resize_param.* need a crop_size"),
        ("crop_size: 8 random_resize_param { min_size: 9 max_size: 8 }", "min_size 9 is above its max_size 8"),
        ("crop_size: 8 random_aspect_ratio_param { min_area_ratio: 0 }", "areas are 0 to 1"),
        ("crop_size: 8 random_aspect_ratio_param { aspect_ratio_change: 1.5 }", "aspect_ratio_change is 1.5"),
        ('crop_size: 8 random_resize_param { } mean_file: "m"', "give mean_value"),
        ("crop_size: 8 random_resize_param { } augmentation { rotation: 3 }", "exclude each other"),
        ("img_rand_resize_lower: 8 img_rand_resize_upper: 8", "need a crop_size"),
        ("crop_size: 8 img_rand_resize_lower: 8", "img_rand_resize_lower is 8 and img_rand_resize_upper 0"),
        ("crop_size: 8 img_rand_resize_upper: 8", "give both of img_rand_resize_lower"),
        ("crop_size: 8 vertical_stretch_lower: 2", "vertical_stretch_lower is 2 and vertical_stretch_upper 1"),
        ("crop_size: 8 vertical_stretch_upper: nan", "vertical_stretch_upper nan"),
    ],
)
def test_fields_that_mean_nothing_are_refused(options, says):
    with pytest.raises(DataError, match=says):
        Transform(param(options), pb.TRAIN)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("crop_size: 8 random_resize_param { min_size: 7 }", "is 20×32 and can become 7 wide or high"),
        ("crop_size: 8 random_resize_param { min_size: 40 }", "min_size 40 is larger"),
        ("crop_size: 8 random_resize_param { min_size: 8 max_size: 4000000000 }", "more than the 32767"),
        (
            "crop_size: 24 img_rand_resize_lower: 30 img_rand_resize_upper: 30",
            "smaller than crop_size 24.*allow_upscale",
        ),
        ("crop_size: 8 vertical_stretch_upper: 1e9 allow_upscale: true", "more than the 32767"),
    ],
)
def test_pictures_that_cannot_be_brought_to_the_sizes_are_refused(options, says):
    with pytest.raises(Misfit, match=says):
        Transform(param(options), pb.TRAIN).shape(WIDE.shape)


def test_a_mean_that_the_crop_does_not_fit_into_is_refused(tmp_path):
    path = tmp_path / "mean.binaryproto"
    binary.write(path, pb.BlobProto(num=1, channels=1, height=9, width=9, data=np.zeros(81)))
    sized = "img_rand_resize_lower: 20 img_rand_resize_upper: 20"
    with pytest.raises(DataError, match=r"the mean is 1×9×9, smaller than crop_size 10"):
        Transform(param(f"crop_size: 10 {sized}"), pb.TRAIN, path)
    with pytest.raises(Misfit, match="they must be equal"):
        Transform(param(f"crop_size: 8 {sized}"), pb.TRAIN, path).shape(WIDE.shape)
