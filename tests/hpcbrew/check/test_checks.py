from pathlib import Path

import pytest

from hpcbrew.check import checks, scheduler
from hpcbrew.check.finding import Checked, Finding, Mark
from hpcbrew.clusters import profiles
from hpcbrew.clusters.profiles import Cluster
from hpcbrew.transports import process


def test_what_never_answers_is_a_finding_and_holds_up_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "qstat").write_text("#!/bin/sh\nexec sleep 300\n")
    (tmp_path / "qstat").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(process, "IDLE_TIMEOUT", 1)

    def answer(site: Checked):
        yield Finding("next", Mark.OK, "fine")

    monkeypatch.setattr(checks, "CHECKS", (("slow", scheduler.version, "wait"), ("next", answer, "")))
    local = Cluster.model_validate({**profiles.values("openpbs"), "name": "local", "transport": "local"})
    _, slow, after = checks.run(local)
    assert (slow.what, slow.mark, slow.remedy) == ("slow", Mark.BAD, "wait")
    assert "`qstat --version` gave no answer within 1 s" in slow.found
    assert after.what == "next"


def test_what_a_check_does_not_expect_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(site: Checked):
        yield Finding("first", Mark.OK, str(1 // 0))

    monkeypatch.setattr(checks, "CHECKS", (("broken", broken, ""),))
    with pytest.raises(ZeroDivisionError):
        list(checks.run(profiles.load("local")))
