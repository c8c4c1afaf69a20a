import pytest

from hpcbrew.track.outcome import Outcome, read_outcome
from hpcbrew.track.run_folder import Best, Progress

DONE = Outcome(Progress(5, 5, 0.5, began=10.0, tested=5, best={"accuracy": Best(0.75, 4)}), 70.0, "")


def test_what_is_kept_comes_back() -> None:
    assert read_outcome(DONE.as_text()) == DONE
    assert read_outcome(Outcome(words="batch_size is 0").as_text()) == Outcome(words="batch_size is 0")


def test_how_long_a_job_ran_is_known_where_both_ends_are() -> None:
    assert (DONE.ran, Outcome(DONE.progress).ran, Outcome(ended=3.0).ran) == (60.0, None, None)


@pytest.mark.parametrize("text", [None, "", "{", "[]", '{"progress": {"iteration": -1}}', '{"ended": "soon"}'])
def test_of_what_is_no_sound_record_nothing_is_known(text: str | None) -> None:
    assert read_outcome(text) == Outcome()
