"""Held, released, cancelled: real jobs of the queue on this machine, that only sleep."""

import time
from pathlib import Path, PurePosixPath

import pytest

from hpcbrew import change, watch
from hpcbrew.address import Address
from hpcbrew.errors import RequestError, TransportError
from hpcbrew.job import JobRecord, JobState, Standing
from hpcbrew.ledger import Ledger
from hpcbrew.transports import talk

HERE = Address("local", "local", "local")


def submitted(folder: Path, ledger: Ledger, body: str = "sleep 600") -> JobRecord:
    folder.mkdir()
    (folder / "job.pbs").write_text(f"#PBS -N {folder.name}\n#PBS -o out\n{body}\n")
    site = watch.reach(HERE)
    job_id = site.scheduler.parse_submit(
        site.transport.run(site.scheduler.submit_command(PurePosixPath("job.pbs")), PurePosixPath(folder))
    )
    queued = Standing(JobState.QUEUED)
    record = JobRecord(folder.name, folder.name, HERE, "s", time.time(), PurePosixPath(folder), queued, job_id)
    ledger.intend(record)
    return record


def state(record: JobRecord, ledger: Ledger, *, until: JobState | None = None) -> JobState:
    end = time.monotonic() + 60
    while True:
        found = watch.look(watch.reach(HERE), [record], ledger)[0].record.standing.state
        if until in (None, found) or time.monotonic() > end:
            return found
        time.sleep(0.1)


def test_a_job_is_held_released_and_cancelled(tmp_path: Path) -> None:
    ledger = Ledger()
    first, second = submitted(tmp_path / "first", ledger), submitted(tmp_path / "second", ledger)
    assert state(first, ledger, until=JobState.RUNNING) is JobState.RUNNING
    assert change.hold(second, ledger) == "held"
    assert state(second, ledger) is JobState.HELD
    with pytest.raises(RequestError, match="runs already"):
        change.hold(first, ledger)
    assert change.release(second, ledger) == "released"
    assert state(second, ledger) is JobState.QUEUED
    assert [change.cancel(r, ledger) for r in (second, first)] == ["cancelled", "cancelled"]
    assert state(second, ledger) is JobState.CANCELLED
    with pytest.raises(RequestError, match=r"has ended already \(cancelled\), and cannot be held"):
        change.hold(second, ledger)
    assert change.cancel(ledger.find("second"), ledger) == "has ended already: cancelled"
    assert state(first, ledger, until=JobState.CANCELLED) is JobState.CANCELLED


def test_a_qdel_that_never_answers_is_told_with_what_will_tell_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in (("qdel", "exec sleep 300"), ("qstat", "printf 'Job Id: 1.pbs01\\n    job_state = R\\n'")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(talk, "PATIENCE", 1)
    ledger, running = Ledger(), Standing(JobState.RUNNING)
    record = JobRecord("a", "n", Address("here", "local", "pbs"), "s", 0.0, PurePosixPath(tmp_path), running, "1.pbs01")
    ledger.intend(record)
    with pytest.raises(TransportError, match=r"`qdel 1\.pbs01` gave no answer within 1 s.*hpcbrew status 1\.pbs01"):
        change.cancel(record, ledger)
    assert ledger.all()[0].standing == running
