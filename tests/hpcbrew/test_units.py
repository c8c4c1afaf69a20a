import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcbrew import units


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90", 90),
        ("01:30", 90),
        ("168:00:00", 604800),
        ("7:00:00:00", 604800),
        ("12h", 43200),
        ("1d12h", 129600),
        (5, 5),
    ],
)
def test_lengths_of_time_are_read_as_pbs_reads_them(text: str | int, expected: int) -> None:
    assert units.seconds(text) == expected


@pytest.mark.parametrize("text", ["", "abc", "0", "00:00:00", "-5", "1:2:3:4:5", "12h30", "1.5h"])
def test_what_is_no_length_of_time_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match="is not a valid duration"):
        units.seconds(text)


@given(st.integers(1, 10**8))
def test_a_clock_is_read_back(total: int) -> None:
    assert units.seconds(units.clock(total)) == total


@pytest.mark.parametrize(
    ("text", "expected"),
    [("24G", 24 * 2**30), ("512mb", 512 * 2**20), ("90GB", 90 * 2**30), ("24 GiB", 24 * 2**30), ("7", 7)],
)
def test_sizes(text: str, expected: int) -> None:
    assert units.size(text) == expected


@pytest.mark.parametrize("text", ["", "0", "24X", "lots", "8w", "-1G", "1.5G", "8i", "8GiX"])
def test_what_is_no_size_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match="is not a valid size"):
        units.size(text)


@given(st.integers(1, 2**50))
def test_a_pbs_size_is_read_back(number: int) -> None:
    assert units.size(units.pbs_size(number)) == number


@pytest.mark.parametrize(
    ("read", "text", "said"),
    [
        (units.asked_time, "90", "90 of what? Write 90h, 90m or 90s"),
        (units.asked_time, "1:30", "1:30 can be hours or minutes. Write 1:30:00 for hours and minutes, 0:1:30"),
        (units.asked_time, "0", "'0' is not a valid duration"),
        (
            units.asked_time,
            "99999999h",
            "99999999h is more than 5 years, which PBS takes as unlimited: at most 43800:00:00",
        ),
        (units.asked_size, "0", "'0' is not a valid size"),
        (units.asked_size, "24", "24 of what? Write 24G or 24M"),
    ],
)
def test_what_people_and_pbs_read_differently_is_not_guessed(read: Callable[[str], int], text: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        read(text)


def test_what_has_a_unit_is_taken_as_it_is() -> None:
    assert (units.asked_time("90m"), units.asked_time("1:30:00"), units.asked_size("24G")) == (5400, 5400, 24 * 2**30)


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.4, "0s"), (25.9, "25s"), (725, "12m05s"), (3600, "1h00m"), (187_200, "2d04h")]
)
def test_a_span_has_its_two_largest_units(seconds: float, said: str) -> None:
    assert units.span(seconds) == said


@pytest.mark.parametrize("read", [units.seconds, units.size, units.asked_size, units.asked_time])
def test_thousands_of_digits_are_refused_as_any_other_word(read: Callable[[str], int]) -> None:
    for text in ("9" * 5000, f"{'9' * 5000}d", f"{'9' * 4000}gb"):
        with pytest.raises(ValueError, match=r"is not a valid|of what"):
            read(text)
