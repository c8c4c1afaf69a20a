import time

import pytest

from hpcbrew import check, cluster
from hpcbrew.check.finding import Checked, Finding, Mark


def test_what_never_answers_is_a_finding_and_holds_up_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(site: Checked):
        yield Finding("first", Mark.OK, "said before")
        time.sleep(60)

    def answer(site: Checked):
        yield Finding("next", Mark.OK, "fine")

    monkeypatch.setattr(check, "CHECKS", (("slow", hang, "wait"), ("next", answer, "")))
    monkeypatch.setattr(check, "LIMIT", 0.2)
    found = [(f.what, f.mark, f.remedy) for f in check.check(cluster.load("local"))]
    assert found[1:] == [("first", Mark.OK, ""), ("slow", Mark.BAD, "wait"), ("next", Mark.OK, "")]


def test_what_a_check_does_not_expect_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(site: Checked):
        yield Finding("first", Mark.OK, str(1 // 0))

    monkeypatch.setattr(check, "CHECKS", (("broken", broken, ""),))
    with pytest.raises(ZeroDivisionError):
        list(check.check(cluster.load("local")))
