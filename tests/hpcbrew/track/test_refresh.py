import os
import shutil
import socket
import time
from pathlib import Path, PurePosixPath

import pytest
from support import rude_server

from hpcbrew.address import Address
from hpcbrew.job import JobRecord, JobState, JobStatus
from hpcbrew.track import refresh
from hpcbrew.track.ledger import Ledger
from hpcbrew.transports import process, retry, waiting

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
    assert odd.record.status == JobStatus(JobState.UNKNOWN, "qstat shows state 'Y', which is not known of any PBS")
    assert other.record.status == JobStatus(JobState.RUNNING)
    assert (odd.trouble, other.trouble, odd.live) == ("", "", ("1.pbs01",))
    assert [record.token for record in ledger.live()] == ["t1", "t2"]


def test_an_end_that_was_read_while_qstat_is_silent_is_corrected(tmp_path: Path, monkeypatch) -> None:
    """It was deleted, and its own record knows of a signal only."""
    (tmp_path / "qstat").write_text("#!/bin/sh\necho 'qstat: cannot connect to server pbs01' >&2; exit 255\n")
    (tmp_path / "qstat").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    (tmp_path / "exit.json").write_text(f'{{"status": 143, "time": {int(time.time())}}}')
    ledger = Ledger(tmp_path / "ledger.db")
    ledger.intend(JobRecord("a", "n", LOCAL, "s", 0.0, PurePosixPath(tmp_path), JobStatus(JobState.RUNNING), "1.pbs01"))
    (seen,) = refresh.refresh(ledger.all(), ledger)
    assert (seen.record.status.state, bool(seen.trouble)) == (JobState.ENDING, True)
    shown = "Job Id: 1.pbs01\\n    job_state = F\\n    substate = 91\\n    Exit_status = 271\\n"
    (tmp_path / "qstat").write_text(f"#!/bin/sh\nprintf '{shown}    comment = terminated by me@pbs01\\n'\n")
    refresh.refresh(ledger.all(), ledger)
    assert ledger.all()[0].status == JobStatus(JobState.CANCELLED, "deleted by me@pbs01", 271)


def test_a_job_that_was_lost_is_followed_again_where_its_server_comes_back_with_it(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "qstat").write_text("#!/bin/sh\necho 'qstat: Unknown Job Id 1.pbs01' >&2; exit 153\n")
    (tmp_path / "qstat").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    ledger = Ledger(tmp_path / "ledger.db")
    ledger.intend(JobRecord("a", "n", LOCAL, "s", 0.0, PurePosixPath(tmp_path), JobStatus(JobState.RUNNING), "1.pbs01"))
    refresh.refresh(ledger.all(), ledger)
    assert ledger.all()[0].status.state is JobState.LOST
    (tmp_path / "qstat").write_text("#!/bin/sh\nprintf 'Job Id: 1.pbs01\\n    job_state = R\\n'\n")
    refresh.refresh(ledger.all(), ledger)
    assert [record.status.state for record in ledger.live()] == [JobState.RUNNING]


def test_clusters_are_asked_side_by_side_and_mute_ones_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As users have them: profiles with host names, which an ssh configuration knows."""

    connected: set[socket.socket] = set()
    at_once: list[int] = []

    def mute(line: socket.socket) -> None:
        connected.add(line)
        at_once.append(len(connected))
        try:
            while line.recv(4096):
                pass
        finally:
            connected.remove(line)

    monkeypatch.setattr(waiting, "WORD", 0.5)
    monkeypatch.setattr(retry, "MUTE", 1.5)
    ledger, runs = Ledger(tmp_path / "ledger.db"), JobStatus(JobState.RUNNING)
    with rude_server.listening(mute) as port:
        config = tmp_path / "config"
        config.write_text(f"HostName 127.0.0.1\nPort {port}\nConnectTimeout 2\n")
        (tmp_path / "ssh").write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {config} "$@"\n')
        (tmp_path / "ssh").chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        for n in range(4):
            address = Address(f"mute{n}", "ssh", "pbs", f"mute{n}")
            ledger.intend(JobRecord(f"t{n}", "n", address, "s", float(n), PurePosixPath("/run"), runs, f"{n}.pbs"))
        seen = refresh.refresh(ledger.all(), ledger)
    assert max(at_once) > 1
    assert all("no connection" in tracked.trouble for tracked in seen)
    said = capsys.readouterr().err
    assert all(f"hpcbrew: mute{n}: no login yet after 0 s; still waiting for its answer\n" in said for n in range(4))


@pytest.mark.parametrize(
    ("noted", "begun_in", "state", "trouble"),
    [
        ("", "b-2", JobState.LOST, ""),  # PBS began its numbers anew, and knows the job no more
        ("", "a-1", JobState.QUEUED, "the scheduler says that 1.pbs01 is the job of b-2, but"),
        ("2.pbs01\n", "b-2", JobState.QUEUED, "the scheduler says that 2.pbs01 is the job of b-2, but"),
    ],
    ids=["by the ledger", "by a damaged answer", "by the run folder alone"],
)
def test_the_end_of_another_folders_job_is_not_this_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, noted: str, begun_in: str, state: JobState, trouble: str
) -> None:
    log = tmp_path / "runs" / "b-2" / "scheduler.log"
    began = f"PBS_O_HOME=/home/me,\n\tPBS_O_WORKDIR={log.parent.with_name(begun_in)},PBS_O_SYSTEM=Linux"
    shown = f"    job_state = F\n    Exit_status = 0\n    Output_Path = h:{log}\n    Variable_List = {began}\n\n"
    (tmp_path / "qstat").write_text(f"#!/bin/sh\nprintf 'Job Id: %s\n{shown}' \"$3\"\n")
    (tmp_path / "qstat").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    folder = tmp_path / "runs" / "a-1"
    folder.mkdir(parents=True)
    (folder / "job.id").write_text(noted)
    ledger, queued = Ledger(tmp_path / "ledger.db"), JobStatus(JobState.QUEUED)
    ledger.intend(JobRecord("1", "a", LOCAL, "s", 0.0, PurePosixPath(folder), queued, "1.pbs01"))
    (seen,) = refresh.refresh(ledger.all(), ledger)
    assert (seen.record.status.state, seen.live) == (state, ())
    assert seen.trouble.startswith(trouble)
    assert bool(seen.trouble) is bool(trouble)
