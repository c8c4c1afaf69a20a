from types import SimpleNamespace

import pytest

from hpcbrew.errors import LoginRefused, TransportError, Unanswered, Unreachable
from hpcbrew.transports import retry

CUT = TransportError("cluster: the connection was cut", retryable=True)


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    slept: list[float] = []
    monkeypatch.setattr(retry, "time", SimpleNamespace(sleep=slept.append))
    return slept


def attempts(*outcomes: Exception | str, idempotent: bool) -> tuple[list[int], str]:
    """Lets each attempt end so, and gives those that were made and what came out."""
    made: list[int] = []

    def run(attempt: int) -> str:
        made.append(attempt)
        outcome = outcomes[attempt]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return made, retry.attempts(lambda: None, run, idempotent=idempotent, say=lambda words: None)


def test_what_may_be_run_twice_is_and_is_told_how_often(pauses: list[float]) -> None:
    assert attempts(CUT, CUT, "done", idempotent=True) == ([0, 1, 2], "done")
    assert pauses == [0.0, 1.0]


def test_what_may_not_be_run_twice_is_not() -> None:
    with pytest.raises(TransportError, match="cut"):
        attempts(CUT, "done", idempotent=False)


def test_what_gave_no_answer_is_not_asked_again() -> None:
    with pytest.raises(Unanswered):
        attempts(Unanswered("cluster", "`qsub`", 60), "done", idempotent=True)


def test_a_refusal_after_a_cut_is_retryable_as_the_first_attempt_may_have_done_its_work() -> None:
    with pytest.raises(TransportError, match="no entry") as raised:
        attempts(CUT, TransportError("no entry"), idempotent=True)
    assert raised.value.retryable


def test_a_refusal_before_any_cut_stays_what_it_is() -> None:
    with pytest.raises(LoginRefused) as raised:
        attempts(LoginRefused("no entry"), idempotent=True)
    assert not raised.value.retryable


def test_a_host_that_nobody_answers_for_is_not_tried_again(pauses: list[float]) -> None:
    tried = []

    def connect() -> None:
        tried.append(1)
        raise Unreachable("cluster: no connection: it does not answer")

    with pytest.raises(Unreachable):
        retry.attempts(connect, lambda attempt: None, idempotent=True, say=lambda words: None)
    assert (len(tried), pauses) == (1, [])


def test_one_that_answered_before_is(pauses: list[float]) -> None:
    outcomes = iter([None, Unreachable("gone"), None])

    def connect() -> None:
        if error := next(outcomes):
            raise error

    def run(attempt: int) -> int:
        if attempt == 0:
            raise CUT
        return attempt

    assert retry.attempts(connect, run, idempotent=True, say=lambda words: None) == 2
