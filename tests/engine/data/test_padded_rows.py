"""Tables of boxes come in a few sizes."""

from engine.data.padded_rows import padded


def test_rows_are_filled_up_to_a_few_or_to_a_power_of_two():
    assert [padded(n) for n in (0, 1, 8, 9, 16, 17)] == [8, 8, 8, 16, 16, 32]
    assert [padded(n, 64) for n in (3, 65)] == [64, 128]
