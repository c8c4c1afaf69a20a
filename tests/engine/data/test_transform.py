import numpy as np
import pytest

from engine.data.source import draws
from engine.data.transform import Transform
from engine.errors import DataError, PrototxtError
from engine.proto import binary
from engine.proto import caffe_pb2 as pb

PICTURES = np.random.default_rng(1).integers(256, size=(64, 3, 6, 7), dtype=np.uint8)
MEAN = np.random.default_rng(2).random((3, 6, 7), np.float32) * 255


def run(phase=pb.TEST, pictures=PICTURES, mean=None, seed=0, **param):
    transform = Transform(pb.TransformationParameter(**param), phase, mean)
    out = np.empty((len(pictures), *transform.shape(pictures[0].shape)), np.float32)
    transform(list(pictures), draws(seed, 0, len(pictures)), out)
    return out


@pytest.fixture
def mean_file(tmp_path):
    path = tmp_path / "mean.binaryproto"
    binary.write(path, pb.BlobProto(num=1, channels=3, height=6, width=7, data=MEAN.ravel()))
    return path


def test_nothing_asked_is_the_pixels_as_floats():
    assert np.array_equal(run(), PICTURES.astype(np.float32))


def test_scale_comes_after_the_mean():
    want = (PICTURES.astype(np.float32) - np.float32([10, 20, 30])[:, None, None]) * np.float32(0.5)
    assert np.array_equal(run(scale=0.5, mean_value=[10, 20, 30]), want)


def test_one_mean_value_serves_every_channel():
    assert np.array_equal(run(mean_value=[9]), PICTURES.astype(np.float32) - 9)


def test_the_crop_of_a_test_lies_in_the_centre(mean_file):
    want = (PICTURES.astype(np.float32) - MEAN)[:, :, 1:5, 1:5]
    assert np.array_equal(run(crop_size=4, mean=mean_file), want)


def test_training_crops_and_mirrors_every_way_and_the_mean_with_it(mean_file):
    subtracted = PICTURES.astype(np.float32) - MEAN
    ways = {
        (y, x, flip): subtracted[:, :, y : y + 4, x : x + 4][..., ::flip]
        for y in range(3)
        for x in range(4)
        for flip in (1, -1)
    }
    got = run(pb.TRAIN, crop_size=4, mirror=True, mean=mean_file)
    found = [next(way for way, all_ in ways.items() if np.array_equal(all_[i], got[i])) for i in range(len(got))]
    assert len(set(found)) > len(ways) / 2
    assert {way[0] for way in found} == {0, 1, 2}
    assert {way[1] for way in found} == {0, 1, 2, 3}
    assert 16 < sum(way[2] == 1 for way in found) < 48


def test_mirroring_happens_in_both_phases():
    assert not np.array_equal(run(pb.TEST, mirror=True), run(pb.TEST))


def test_a_seed_gives_the_same_batch_again():
    assert np.array_equal(run(pb.TRAIN, crop_size=4, seed=5), run(pb.TRAIN, crop_size=4, seed=5))
    assert not np.array_equal(run(pb.TRAIN, crop_size=4, seed=5), run(pb.TRAIN, crop_size=4, seed=6))


def test_float_pictures_and_pictures_of_several_sizes():
    pictures = [np.full((1, 5, 5), 0.5, np.float32), np.full((1, 9, 6), 2, np.uint8)]
    got = run(pictures=pictures, crop_size=5, scale=2)
    assert got[:, 0, 0, 0].tolist() == [1, 4]


@pytest.mark.parametrize(
    ("param", "says"),
    [
        ({"force_color": True, "force_gray": True}, "force_color and force_gray exclude"),
        ({"crop_size": 7}, "is 6×7, smaller than crop_size 7"),
        ({"mean_value": [1, 2]}, "3 channels and transform_param has 2 mean_value"),
    ],
)
def test_what_does_not_fit_is_an_error(param, says):
    with pytest.raises(DataError, match=says):
        run(**param)


def test_mean_file_and_mean_value_exclude_each_other(mean_file):
    with pytest.raises(DataError, match="mean_file and mean_value exclude"):
        run(mean=mean_file, mean_value=[1])


def test_a_mean_that_is_not_there_or_is_none(tmp_path):
    gone, text = tmp_path / "mean.binaryproto", tmp_path / "mean.txt"
    with pytest.raises(PrototxtError, match=rf"^mean_file {gone}: .* Make it: compute_image_mean DATABASE {gone}"):
        run(mean=gone)
    with pytest.raises(PrototxtError, match="File name too long"):
        run(mean=tmp_path / ("m" * 300))
    text.write_text("104 117 123")
    with pytest.raises(PrototxtError, match=rf"^mean_file {text}: is text"):
        run(mean=text)


def test_a_mean_of_another_size(mean_file):
    with pytest.raises(DataError, match="is 3×5×7 and the mean of mean_file 3×6×7"):
        run(pictures=PICTURES[:, :, :5], mean=mean_file)


def test_mean_files_that_are_none(tmp_path):
    path = tmp_path / "mean.binaryproto"
    path.write_bytes(b"garbage")
    with pytest.raises(PrototxtError, match=r"mean\.binaryproto"):
        run(mean=path)
    binary.write(path, binary.from_array(np.zeros((2, 3, 6, 7))))
    with pytest.raises(DataError, match=r"mean\.binaryproto: has shape \[2, 3, 6, 7\]"):
        run(mean=path)


@pytest.mark.parametrize("param", [{}, {"crop_size": 4}, {"mirror": True, "crop_size": 3}, {"mean_value": [1, 2, 3]}])
@pytest.mark.parametrize("with_mean", [False, True])
def test_however_pixels_lie_the_result_is_the_same(param, with_mean, mean_file):
    """As OpenCV decodes them, a pixel's colours together; each picture by itself; and many in one array."""
    if with_mean and "mean_value" in param:
        return
    transform = Transform(pb.TransformationParameter(scale=0.5, **param), pb.TRAIN, mean_file if with_mean else None)
    random = draws(3, 0, len(PICTURES))
    decoded = [np.ascontiguousarray(picture.transpose(1, 2, 0)).transpose(2, 0, 1) for picture in PICTURES]
    results = []
    for pictures in (list(PICTURES), decoded, PICTURES, PICTURES.astype(np.float32)):
        results.append(np.empty((len(PICTURES), *transform.shape(PICTURES[0].shape)), np.float32))
        transform(pictures, random, results[-1])
    for result in results[1:]:
        assert np.array_equal(result, results[0])
