import pytest

from engine.units import short_size


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (5 * 2**30, "5.0 GiB"),
        (3 * 2**50, "3.0 PiB"),
        (10**24, "867,361.7 EiB"),
        (-2048, "-2.0 KiB"),
    ],
)
def test_sizes_are_written_for_people(size: int, shown: str) -> None:
    assert short_size(size) == shown
