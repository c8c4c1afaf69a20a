"""Sizes of pictures, and of the maps of what their places are to learn."""

import pytest

from engine.data import field_maps
from engine.errors import DataError
from engine.proto import caffe_pb2 as pb

RESIZED, CROPPED = {"resize_height": 64, "resize_width": 96}, {"crop_height": 32, "crop_width": 48}
LISTED = 40, 56


@pytest.mark.parametrize(
    ("fields", "size", "told"),
    [
        ({}, LISTED, None),
        (RESIZED, (64, 96), (64, 96)),
        (CROPPED, (32, 48), (32, 48)),
        (RESIZED | CROPPED, (32, 48), (32, 48)),
        (RESIZED | CROPPED | {"crop_width": 0}, (32, 96), (32, 96)),  # 0: all of it
        (RESIZED | {"crop_width": 48}, (64, 96), (64, 96)),  # one alone is not obeyed
        ({"resize_height": 64}, LISTED, None),
    ],
)
def test_a_crop_counts_before_a_size_that_all_get_and_that_before_the_list(fields, size, told):
    p = pb.ImageGtDataParameter(**fields)
    assert field_maps.picture(p, LISTED) == size
    assert field_maps.size_from_settings(p) == told


def test_a_crop_of_more_than_there_is_is_refused_with_and_without_the_list():
    with pytest.raises(DataError, match=r"pictures of 40×56 .* cannot be cropped to 41×48"):
        field_maps.picture(pb.ImageGtDataParameter(crop_height=41, crop_width=48), LISTED)
    with pytest.raises(DataError, match=r"pictures of 64×96 .* cannot be cropped to 65×48"):
        field_maps.size_from_settings(pb.ImageGtDataParameter(**RESIZED | {"crop_height": 65, "crop_width": 48}))


@pytest.mark.parametrize(
    ("strides", "size", "found"),
    [
        ([8, 16], (32, 48), [(4, 6), (2, 3)]),
        ([8], (36, 48), "do not divide into a map with downsample_rate 8"),
        ([0], (32, 48), "1 or more"),
    ],
)
def test_maps_have_a_place_for_each_stride(strides, size, found):
    fields = [40] * len(strides)
    p = pb.ImageGtDataParameter(downsample_rate=strides, field_h=fields, field_w=fields)
    if isinstance(found, list):
        assert field_maps.maps(p, size) == found
    else:
        with pytest.raises(DataError, match=found):
            field_maps.maps(p, size)


def test_each_map_needs_a_field():
    p = pb.ImageGtDataParameter(downsample_rate=[8], field_h=[1, 2], field_w=[1])
    with pytest.raises(DataError, match="1 downsample_rate, 2 field_h and 1 field_w"):
        field_maps.maps(p, (32, 48))
