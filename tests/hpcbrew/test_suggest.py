import pytest

from hpcbrew.suggest import did_you_mean


@pytest.mark.parametrize(
    ("word", "sentence"),
    [("standart", " Did you mean 'standard'?"), ("lw", " Did you mean 'low'?"), ("gpu", "")],
)
def test_the_nearest_of_what_is_known_is_asked_for(word: str, sentence: str) -> None:
    assert did_you_mean(word, {"standard": 1, "low": 2}) == sentence
