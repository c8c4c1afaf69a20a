from pathlib import Path, PurePosixPath

import pytest

from hpcbrew.address import Address
from hpcbrew.job import JobRecord, JobState, JobStatus
from hpcbrew.track import refresh
from hpcbrew.track.ledger import Ledger
from hpcbrew.transports import process

LOCAL = Address("here", "local", "pbs")


def test_a_poll_that_never_ends_changes_no_state_and_is_a_trouble(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "qstat").write_text("#!/bin/sh\nexec sleep 300\n")
    (tmp_path / "qstat").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(process, "IDLE_TIMEOUT", 1)
    ledger = Ledger(tmp_path / "ledger.db")
    ledger.intend(JobRecord("a", "n", LOCAL, "s", 0.0, PurePosixPath(tmp_path), JobStatus(JobState.RUNNING), "1.pbs01"))
    before = ledger.all()
    (seen,) = refresh.refresh(before, ledger)
    assert "`qstat -x -f 1.pbs01` gave no answer within 1 s" in seen.trouble
    assert [seen.record] == ledger.all() == before


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_state_that_is_not_known_hides_no_other_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    answers = {
        "text": "Job Id: 1.pbs01\n    job_state = Y\nJob Id: 2.pbs01\n    job_state = R\n",
        "json": '{"Jobs": {"1.pbs01": {"job_state": "Y"}, "2.pbs01": {"job_state": "R"}}}',
    }
    (tmp_path / "answer").write_text(answers[form])
    (tmp_path / "qstat").write_text(f"#!/bin/sh\nexec cat {tmp_path}/answer\n")
    (tmp_path / "qstat").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    ledger, queued = Ledger(tmp_path / "ledger.db"), JobStatus(JobState.QUEUED)
    for n in (1, 2):
        folder = PurePosixPath(tmp_path, str(n))
        ledger.intend(JobRecord(f"t{n}", "n", LOCAL, "s", float(n), folder, queued, f"{n}.pbs01"))
    odd, other = refresh.refresh(ledger.all(), ledger)
    assert odd.record.status == JobStatus(JobState.UNKNOWN, "qstat shows state 'Y', which no PBS is known to have")
    assert other.record.status == JobStatus(JobState.RUNNING)
    assert (odd.trouble, other.trouble, odd.live) == ("", "", ("1.pbs01",))
    assert [record.token for record in ledger.live()] == ["t1", "t2"]
