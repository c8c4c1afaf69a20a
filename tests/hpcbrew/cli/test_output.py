import pytest

from hpcbrew.cli.output import figure


@pytest.mark.parametrize(
    ("value", "shown"), [(0.123456, "0.1235"), (3, "3"), ([1.0, None], "[1, nan]"), (None, "nan"), ("x", "nan")]
)
def test_figures_have_four_digits(value: object, shown: str) -> None:
    assert figure(value, "nan") == shown
