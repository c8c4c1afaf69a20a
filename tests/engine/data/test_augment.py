import cv2
import numpy as np
import pytest

from engine.data.augment import Augmentation, rotated, stretched
from engine.data.source import draws, transformed
from engine.data.transform import Transform
from engine.errors import DataError
from engine.host import workers
from engine.proto import binary
from engine.proto import caffe_pb2 as pb

PICTURES = np.random.default_rng(1).integers(256, size=(16, 3, 20, 24), dtype=np.uint8)
GREYS = np.array([0.114, 0.587, 0.299])


def run(pictures=PICTURES, phase=pb.TRAIN, seed=0, mean_file=None, crop_size=0, mean_value=(), **asked):
    param = pb.TransformationParameter(crop_size=crop_size, mean_value=mean_value)
    param.augmentation.CopyFrom(pb.AugmentationParameter(**asked))
    transform = Transform(param, phase, mean_file)
    pictures = list(pictures)
    return transformed([lambda p=p: p for p in pictures], str, transform, draws(seed, 0, len(pictures)))


def grey(pictures):
    return np.einsum("c,nchw->nhw", GREYS, pictures)


def test_nothing_asked_changes_nothing():
    assert np.array_equal(run(), PICTURES)


def test_a_test_sees_pictures_as_they_are_unless_said():
    asked = {"brightness": 0.5, "rotation": 20, "cut_out": 5}
    assert np.array_equal(run(phase=pb.TEST, **asked), PICTURES)
    assert np.array_equal(run(phase=pb.TEST, in_test=True, **asked), run(**asked))
    assert not np.array_equal(run(**asked), PICTURES)


def test_the_same_on_any_number_of_threads(monkeypatch):
    pictures = np.random.default_rng(2).integers(256, size=(9, 3, 70, 70), dtype=np.uint8)
    asked = {"rotation": 20, "min_area": 0.2, "hue": 0.2, "contrast": 0.4, "cut_out": 9, "crop_size": 64}
    made = []
    for cores in (1, 4):
        monkeypatch.setattr(workers.cpu_count, "usable", lambda cores=cores: cores)
        workers._pool.cache_clear()
        made.append(run(pictures, **asked))
    workers._pool.cache_clear()
    assert np.array_equal(*made)
    assert not np.array_equal(made[0], run(pictures, seed=1, **asked))


def test_parts_have_the_areas_and_shapes_asked_and_lie_everywhere():
    augmentation = Augmentation(pb.AugmentationParameter(min_area=0.1, max_area=0.5, min_aspect=0.5, max_aspect=2), 8)
    rng = np.random.default_rng(3)
    parts = [augmentation._part(300, 400, rng) for _ in range(500)]
    heights, widths = (np.array([p[axis].stop - p[axis].start for p in parts]) for axis in (1, 2))
    shares, aspects = heights * widths / 120_000, widths / heights
    assert (0.099 < shares.min() < 0.15) & (0.42 < shares.max() < 0.501)
    assert (0.49 < aspects.min() < 0.55) & (1.8 < aspects.max() < 2.02)
    assert 0.3 < np.mean(aspects < 1) < 0.7
    assert min(p[1].start for p in parts) < 10
    assert max(p[2].stop for p in parts) > 390


def test_where_no_part_fits_it_is_the_largest_in_the_middle():
    augmentation = Augmentation(pb.AugmentationParameter(min_aspect=1, max_aspect=1), 8)
    assert augmentation._part(10, 40, np.random.default_rng(0))[1:] == (slice(0, 10), slice(15, 25))


def test_a_part_is_stretched_as_caffe_resizes_and_pictures_may_be_smaller_than_the_crop():
    (got,) = run(PICTURES[:1], crop_size=32, max_aspect=1.2, min_aspect=1.2)
    want = cv2.resize(PICTURES[0].transpose(1, 2, 0), (32, 32)).transpose(2, 0, 1)
    assert np.abs(got - want).max() <= 1


def test_the_mean_is_rotated_and_cropped_as_the_picture_is(tmp_path):
    mean = PICTURES[0].astype(np.float32)
    binary.write(tmp_path / "mean", pb.BlobProto(num=1, channels=3, height=20, width=24, data=mean.ravel()))
    left = run([PICTURES[0]] * 4, mean_file=tmp_path / "mean", rotation=30, min_area=0.3, crop_size=16)
    assert np.abs(left).max() <= 2  # the picture itself is rounded twice on its way


def test_a_quarter_turn_against_the_clock():
    square = PICTURES[0][:, :, :20]
    assert np.array_equal(rotated(square, 90), np.rot90(square, axes=(1, 2)))


def test_any_number_of_channels_is_rotated_and_stretched():
    many = PICTURES.reshape(-1, 20, 24)
    assert np.array_equal(rotated(many, 10)[3:6], rotated(PICTURES[1], 10))
    assert np.array_equal(stretched(many, 9)[3:6], stretched(PICTURES[1], 9))


def test_brightness_multiplies_by_a_factor_of_each_picture():
    pictures = np.full((300, 1, 4, 4), 100, np.uint8)
    got = run(pictures, brightness=0.3)
    assert (np.ptp(got, axis=(1, 2, 3)) == 0).all()
    assert 70 <= got.min() < 75
    assert 125 < got.max() <= 130


@pytest.mark.parametrize("channels", [1, 3])
def test_contrast_keeps_the_mean_grey(channels):
    pictures = (PICTURES[:, :channels] // 4 + 96).astype(np.float32)
    got = run(pictures, contrast=0.5)
    level = (lambda x: grey(x).mean((1, 2))) if channels == 3 else (lambda x: x.mean((1, 2, 3)))
    np.testing.assert_allclose(level(got), level(pictures), rtol=1e-5)
    factors = np.std(got, axis=(1, 2, 3)) / np.std(pictures, axis=(1, 2, 3))
    assert 0.49 < factors.min() < 0.9
    assert 1.1 < factors.max() < 1.51


@pytest.mark.parametrize("asked", [{"saturation": 0.8}, {"hue": 0.5}])
def test_saturation_and_hue_keep_each_pixels_grey(asked):
    pictures = PICTURES.astype(np.float32)
    got = run(pictures, **asked)
    np.testing.assert_allclose(grey(got), grey(pictures), atol=0.01)
    assert np.abs(got - pictures).max() > 20


def test_half_a_turn_of_hue_takes_colours_to_their_opposites():
    blue = np.zeros((200, 3, 2, 2), np.float32)
    blue[:, 0] = 100
    got = run(blue, hue=0.5)[:, :, 0, 0]
    mirrored_at_its_grey = 2 * 11.4 - blue[0, :, 0, 0]
    assert np.abs(got - mirrored_at_its_grey).max(1).min() < 2


def test_bytes_stay_between_0_and_255():
    got = run(brightness=1, contrast=1, saturation=1, hue=0.5)
    assert got.min() == 0
    assert got.max() == 255
    assert np.array_equal(got, np.rint(got))


def test_a_square_is_cut_out_of_each_picture_after_the_mean_is_subtracted():
    got = run(np.full((400, 2, 20, 24), 7, np.uint8), cut_out=6, mean_value=[3])
    holes = got == 0
    assert np.array_equal(np.unique(got), [0, 4])
    assert np.array_equal(holes[:, 0], holes[:, 1])
    sizes = holes[:, 0].sum((1, 2))
    assert sizes.max() == 36
    assert sizes.min() < 18  # some lie over the border
    assert holes[:, 0].any(0).all()


def test_a_colourless_picture_has_no_saturation():
    with pytest.raises(DataError, match="0: has 1 channels; saturation and hue need pictures in colour, with 3"):
        run(PICTURES[:, :1], saturation=0.1)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"rotation": -1}, "rotation -1; 0 or more is needed"),
        ({"rotation": float("nan")}, "rotation nan; 0 or more"),
        ({"rotation": 181}, "rotation 181; degrees from 0 to 180"),
        ({"brightness": 1.5}, "brightness 1.5; 0 to 1 is allowed"),
        ({"hue": 0.6}, "hue 0.6; 0 to 0.5"),
        ({"min_area": 0.5, "max_area": 0.4, "crop_size": 4}, "min_area 0.5 and max_area 0.4"),
        ({"min_area": 0, "crop_size": 4}, "min_area 0 and max_area 1; the first must be above 0"),
        ({"max_area": 2, "crop_size": 4}, "max_area 2; it is a fraction"),
        ({"min_aspect": 1.1, "crop_size": 4}, "min_aspect 1.1 and max_aspect 1"),
        ({"max_aspect": float("inf"), "crop_size": 4}, "max_aspect inf; 0 or more"),
        ({"min_area": 0.5}, "crops of random size are stretched to crop_size, and transform_param has none"),
    ],
)
@pytest.mark.parametrize("phase", [pb.TRAIN, pb.TEST])
def test_parameters_that_mean_nothing(asked, says, phase):
    with pytest.raises(DataError, match=f"augmentation: {says}"):
        run(phase=phase, **asked)
