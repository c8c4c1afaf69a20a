from pathlib import Path, PurePosixPath

import pytest

from hpcbrew.address import Address
from hpcbrew.job import JobRecord, JobState, JobStatus
from hpcbrew.track import refresh
from hpcbrew.track.ledger import Ledger
from hpcbrew.transports import process

HERE = Address("here", "local", "pbs")


def test_a_poll_that_never_ends_changes_no_state_and_is_a_trouble(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "qstat").write_text("#!/bin/sh\nexec sleep 300\n")
    (tmp_path / "qstat").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(process, "IDLE_TIMEOUT", 1)
    ledger = Ledger(tmp_path / "ledger.db")
    ledger.intend(JobRecord("a", "n", HERE, "s", 0.0, PurePosixPath(tmp_path), JobStatus(JobState.RUNNING), "1.pbs01"))
    before = ledger.all()
    (seen,) = refresh.refresh(before, ledger)
    assert "`qstat -x -f 1.pbs01` gave no answer within 1 s" in seen.trouble
    assert [seen.record] == ledger.all() == before
