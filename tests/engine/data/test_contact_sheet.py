import numpy as np
import pytest

from engine.data.contact_sheet import contact_sheet, first_pictures
from engine.errors import DataError

GREY = np.linspace(-1, 3, 6 * 8, dtype=np.float32).reshape(1, 6, 8)


class Batches:
    """A source that counts."""

    def __init__(self, **tops):
        self.tops, self.made = tops, 0

    def next(self):
        self.made += 1
        return {name: value + self.made for name, value in self.tops.items()}


def test_pictures_of_several_batches_with_the_values_of_all_other_tops():
    source = Batches(label=np.zeros(2), data=np.zeros((2, 3, 4, 5)), boxes=np.zeros((2, 2)))
    pictures, captions = first_pictures(source, 3)
    assert [picture[0, 0, 0] for picture in pictures] == [1, 1, 2]
    assert captions == ["1 1 1", "1 1 1", "2 2 2"]


def test_a_source_of_no_pictures():
    with pytest.raises(DataError, match=r"four axes; they are x \[2, 5\]"):
        first_pictures(Batches(x=np.zeros((2, 5))), 3)


def test_the_least_value_is_black_and_the_largest_white():
    sheet = contact_sheet([GREY, GREY * 0], ["", ""])
    assert (sheet.low, sheet.high) == (-1, 3)
    tile = sheet.image[4 : 4 + 72, 4 : 4 + 96]  # 12 times as large
    assert np.array_equal(tile[::12, ::12, 0], np.rint((GREY[0] + 1) / 4 * 255).astype(np.uint8))
    assert (sheet.image[4:76, 104:200] == 64).all()


def test_three_channels_are_a_colour_and_others_grey():
    colours = np.zeros((3, 96, 96), np.float32)
    colours[1] = 1
    assert contact_sheet([colours], [""]).image[50, 50].tolist() == [0, 255, 0]
    assert contact_sheet([colours[:2]], [""]).image[50, 50].tolist() == [0, 0, 0]


def test_large_pictures_are_made_smaller_and_small_ones_larger():
    large, small = np.ones((1, 40, 2000), np.float32), np.ones((1, 1, 1), np.float32)
    assert contact_sheet([large], [""]).image.shape == (5 + 14 + 8, 256 + 8, 3)
    assert contact_sheet([small], [""]).image.shape == (96 + 14 + 8, 96 + 8, 3)


def test_values_that_are_no_numbers_are_black():
    sheet = contact_sheet([np.where(GREY > 2, np.nan, GREY), np.full_like(GREY, np.inf)], ["nan", "inf"])
    assert sheet.low == -1
    assert sheet.high <= 2
    assert sheet.image[70, 90].tolist() == [0, 0, 0]


def test_captions_are_cut_to_their_pictures():
    sheet = contact_sheet([np.zeros((1, 96, 96), np.float32)] * 2, ["8" * 100, ""])
    assert not (sheet.image[:, 104:] > 64).any()
    assert (sheet.image > 200).any()
