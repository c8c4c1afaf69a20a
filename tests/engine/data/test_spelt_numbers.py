import numpy as np
import pytest

from engine.data.spelt_numbers import LARGEST, finite, integer


def test_the_largest_float32():
    assert np.finfo(np.float32).max == LARGEST


@pytest.mark.parametrize("word", ["7", "+7", "007", b"7", " 7"])
def test_whole_numbers(word):
    assert integer(word) == 7


@pytest.mark.parametrize("word", ["", "+-7", "7.0", "0x7", "1_000", b"1_000", "٧", "７", "2147483648", "1" * 5000])
def test_what_spells_no_whole_number(word):
    assert integer(word) is None


@pytest.mark.parametrize("word", ["0.5", ".5", "5e-1", b"0.5"])
def test_fractions(word):
    assert finite(word) == 0.5


@pytest.mark.parametrize("word", ["", "nan", "inf", "1e39", "1_0.5", b"1_0.5", "٠.٥", "0,5"])
def test_what_spells_no_finite_number(word):
    assert finite(word) is None
