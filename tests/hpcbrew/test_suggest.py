import pytest

from hpcbrew.suggest import closest, did_you_mean

KNOWN = {"standard": 1, "low": 2}


@pytest.mark.parametrize(("word", "near"), [("standart", "standard"), ("lw", "low"), ("gpu", None)])
def test_the_nearest_of_what_is_known(word: str, near: str | None) -> None:
    assert closest(word, KNOWN) == near


def test_the_question_stands_behind_a_sentence() -> None:
    assert f"no queue.{did_you_mean('standart', KNOWN)}" == "no queue. Did you mean 'standard'?"
    assert did_you_mean("gpu", KNOWN) == ""
