"""What sources share: random numbers and orders by seed, and a batch out of pictures."""

import re

import numpy as np
import pytest

from engine.data import source
from engine.data.label_bounds import LabelBounds
from engine.data.transform import Transform
from engine.errors import DataError
from engine.proto import caffe_pb2 as pb

PLAIN = Transform(pb.TransformationParameter(), pb.TEST)


def batch(*pictures, transform=PLAIN):
    def reader(picture):
        def read():
            if isinstance(picture, str):
                raise DataError(picture)
            return picture

        return read

    draws = np.zeros((len(pictures), 3))
    return source.transformed([reader(p) for p in pictures], lambda i: f"record {i}", transform, draws)


def test_draws_are_a_function_of_seed_and_batch():
    assert source.draws(1, 2, 5).shape == (5, 3)
    assert (source.draws(1, 2, 5) == source.draws(1, 2, 5)).all()
    assert (source.draws(1, 2, 5) != source.draws(1, 3, 5)).any()
    assert (source.draws(1, 2, 5) != source.draws(2, 2, 5)).any()


def test_an_epoch_has_every_record_once_in_an_order_of_its_own():
    first, second = source.shuffled(1, 0, 50), source.shuffled(1, 1, 50)
    assert sorted(first) == sorted(second) == list(range(50))
    assert (first != second).any()
    with pytest.raises(ValueError, match="read-only"):
        first[0] = 0


@pytest.mark.parametrize("size", [3, 120], ids=["one thread", "several"])
def test_a_batch_holds_the_pictures_in_order_as_float32(size):
    pictures = [np.full((3, size, size), value, np.uint8) for value in range(7)]
    got = batch(*pictures)
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, np.stack(pictures))


def test_what_is_wrong_with_a_picture_is_said_behind_its_record():
    small, large = np.zeros((1, 2, 3), np.uint8), np.zeros((1, 4, 5), np.uint8)
    with pytest.raises(DataError, match="record 1: no picture"):
        batch(small, "no picture")
    with pytest.raises(
        DataError, match=re.escape("record 2: is 1×4×5 (channels × height × width) and the first of its batch is")
    ):
        batch(small, small, large)
    with pytest.raises(DataError, match="record 0: is 2×3, smaller than crop_size 4"):
        batch(small, transform=Transform(pb.TransformationParameter(crop_size=4), pb.TEST))


@pytest.mark.parametrize("value", [None, True, -1, 1.0, "1", [], {}, 2**64])
def test_a_position_that_is_no_number(value):
    with pytest.raises(DataError, match=r"a position whose batches is .*; a whole number"):
        source.position({"batches": value}, "batches")
    assert source.position({"batches": 3}, "batches") == 3


def test_a_batch_of_no_items_has_no_wrong_label():
    source.check_labels({"label": np.zeros((0, 1), np.float32)}, {"label": [LabelBounds(3)]}, str)
