"""Held, released, cancelled: real jobs of the queue on this machine, that only sleep."""

import time
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest
from support.until import until

from hpcbrew.address import Address
from hpcbrew.errors import RequestError, SchedulerError, TransportError
from hpcbrew.job import JobRecord, JobState, JobStatus
from hpcbrew.track import control, refresh
from hpcbrew.track.ledger import Ledger
from hpcbrew.transports import process

LOCAL = Address("local", "local", "local")


def submitted(folder: Path, ledger: Ledger, body: str = "sleep 600") -> JobRecord:
    folder.mkdir()
    (folder / "job.pbs").write_text(f"#PBS -N {folder.name}\n#PBS -o out\n{body}\n")
    site = refresh.reach(LOCAL)
    job_id = site.scheduler.parse_submit(
        site.transport.run(site.scheduler.submit_command(PurePosixPath("job.pbs")), PurePosixPath(folder))
    )
    queued = JobStatus(JobState.QUEUED)
    record = JobRecord(folder.name, folder.name, LOCAL, "s", time.time(), PurePosixPath(folder), queued, job_id)
    ledger.intend(record)
    return record


def state(record: JobRecord, ledger: Ledger) -> JobState:
    return refresh.look(refresh.reach(LOCAL), [record], ledger)[0].record.status.state


def test_a_job_is_held_released_and_cancelled(tmp_path: Path) -> None:
    ledger = Ledger()
    first, second = submitted(tmp_path / "first", ledger), submitted(tmp_path / "second", ledger)
    until(lambda: state(first, ledger) is JobState.RUNNING)
    assert control.hold(second, ledger) == "held"
    assert state(second, ledger) is JobState.HELD
    with pytest.raises(RequestError, match="is running already"):
        control.hold(first, ledger)
    assert control.release(second, ledger) == "released"
    assert state(second, ledger) is JobState.QUEUED
    assert [control.cancel(r, ledger) for r in (second, first)] == ["cancelled", "cancelled"]
    assert state(second, ledger) is JobState.CANCELLED
    with pytest.raises(RequestError, match=r"has ended already \(cancelled\) and cannot be held"):
        control.hold(second, ledger)
    assert control.cancel(ledger.find("second"), ledger) == "has ended already: cancelled"
    until(lambda: state(first, ledger) is JobState.CANCELLED)


def running(folder: Path, monkeypatch: pytest.MonkeyPatch, ledger: Ledger, qdel: str) -> JobRecord:
    """A job of a PBS here whose qdel is what the test says."""
    commands = folder / "commands"
    commands.mkdir()
    for name, text in (("qdel", qdel), ("qstat", "printf 'Job Id: 1.pbs01\\n    job_state = R\\n'")):
        (commands / name).write_text(f"#!/bin/sh\n{text}\n")
        (commands / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{commands}:/usr/bin:/bin")
    (folder / "run").mkdir()
    where, runs = Address("here", "local", "pbs"), JobStatus(JobState.RUNNING)
    record = JobRecord("a", "n", where, "s", 0.0, PurePosixPath(folder / "run"), runs, "1.pbs01")
    ledger.intend(record)
    return record


def test_a_cancellation_that_was_refused_leaves_no_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the next job of a chain would end, and a job that fails later be called cancelled."""
    ledger = Ledger()
    record = running(tmp_path, monkeypatch, ledger, "echo 'qdel: cannot connect to server' >&2; exit 162")
    with pytest.raises(SchedulerError, match="the PBS server does not answer, and nothing was changed"):
        control.cancel(record, ledger)
    assert ledger.all() == [record]
    assert list(Path(record.run_folder).iterdir()) == []


def test_a_qdel_that_never_answers_is_told_with_what_will_tell_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "IDLE_TIMEOUT", 1)
    ledger = Ledger()
    record = running(tmp_path, monkeypatch, ledger, "exec sleep 300")
    with pytest.raises(TransportError, match=r"`qdel 1\.pbs01` gave no answer within 1 s.*hpcbrew status 1\.pbs01"):
        control.cancel(record, ledger)
    assert ledger.all()[0].status == record.status


def test_a_job_that_does_not_end_at_once_is_said_to_be_ending(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger()
    record = running(tmp_path, monkeypatch, ledger, "exit 0")
    assert control.cancel(record, ledger, patience=0.3) == "is ending; hpcbrew status shows when it has ended"


def told(folder: Path, monkeypatch: pytest.MonkeyPatch, ledger: Ledger, shown: str) -> JobRecord:
    """A job of a PBS here that takes every change, and shows what the test says."""
    record = running(folder, monkeypatch, ledger, "exit 0")
    for name, text in (("qstat", f"printf 'Job Id: 1.pbs01\\n{shown}'"), ("qhold", "exit 0"), ("qrls", "exit 0")):
        (folder / "commands" / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / "commands" / name).chmod(0o755)
    return record


def test_a_release_that_lets_nothing_go_says_who_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = "    job_state = H\\n    Hold_Types = o\\n    comment = Job held by root on Sun Nov 22 19:34:30 2026\\n"
    ledger = Ledger()
    record = told(tmp_path, monkeypatch, ledger, held)
    assert control.release(record, ledger) == (
        "is still held: held by root since Sun Nov 22 19:34:30 2026: only an operator of the site can release it"
    )
    assert control.hold(record, ledger) == "held"


def test_a_suspended_job_cannot_be_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger()
    record = told(tmp_path, monkeypatch, ledger, "    job_state = S\\n    Hold_Types = n\\n")
    with pytest.raises(RequestError, match="is suspended; only a queued job can be held"):
        control.hold(record, ledger)
    assert control.release(record, ledger) == "is still held: suspended by the server or an operator"


@pytest.mark.parametrize("qstat", ["exit 0", "echo 'qstat: cannot connect to server pbs01' >&2; exit 255"])
def test_a_job_that_is_not_confirmed_yet_is_not_taken_for_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, qstat: str
) -> None:
    """qsub may be at work, and nobody would look after the job any more."""
    ledger = Ledger()
    record = running(tmp_path, monkeypatch, ledger, "exit 0")
    record = replace(record, token="b", id=None, submitted=time.time(), status=JobStatus(JobState.SUBMITTING))
    for name in ("qstat", "qselect"):
        (tmp_path / "commands" / name).write_text(f"#!/bin/sh\n{qstat}\n")
        (tmp_path / "commands" / name).chmod(0o755)
    ledger.intend(record)
    with pytest.raises(RequestError, match="cannot be cancelled; hpcbrew status checks again"):
        control.cancel(record, ledger)
    assert record in ledger.live()
