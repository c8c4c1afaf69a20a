"""Which pictures are left bytes, for a device to finish, and what goes with them."""

import numpy as np
import pytest

from engine.data import source
from engine.data.pixels import Pixels
from engine.data.transform import Transform
from engine.proto import caffe_pb2 as pb

PICTURE = np.random.default_rng(0).integers(256, size=(3, 9, 8), dtype=np.uint8)


def made(*pictures, count=None, **param):
    transform = Transform(pb.TransformationParameter(**param), pb.TRAIN)
    transform.on_device = True
    readers = [lambda p=p: p for p in pictures]
    return source.transformed(readers, str, transform, source.draws(0, 0, len(pictures)))


@pytest.fixture
def small_ones_too(monkeypatch):
    monkeypatch.setattr(source, "WORTH", 0)


@pytest.mark.usefixtures("small_ones_too")
def test_bytes_stay_bytes_cropped_and_mirrored():
    got = made(PICTURE, PICTURE, crop_size=4, mirror=True)
    assert isinstance(got, Pixels)
    assert (got.values.dtype, got.values.shape) == (np.uint8, (2, 3, 4, 4))
    assert got.mean is got.scale is got.corners is got.mirrored is None


def test_a_small_batch_is_made_floats_here():
    assert made(PICTURE, PICTURE).dtype == np.float32


@pytest.mark.usefixtures("small_ones_too")
def test_floats_among_bytes_make_all_floats_here():
    got = made(PICTURE, np.float32(PICTURE) + 0.5, scale=2)
    np.testing.assert_array_equal(got, 2 * np.stack([np.float32(PICTURE), np.float32(PICTURE) + 0.5]))


@pytest.mark.usefixtures("small_ones_too")
def test_an_augmentation_is_made_here():
    assert made(PICTURE, augmentation=pb.AugmentationParameter(cut_out=2)).dtype == np.float32
