import time
from pathlib import Path, PurePosixPath

import pytest

from hpcbrew.address import Address
from hpcbrew.job import JobRecord, JobState, JobStatus
from hpcbrew.track import follow, refresh
from hpcbrew.track.ledger import Ledger


def test_the_scheduler_is_asked_when_the_folder_says_something_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    qstat = tmp_path / "qstat"
    qstat.write_text(f"#!/bin/sh\necho >>{tmp_path}/asked\nprintf 'Job Id: 1.pbs01\\n    job_state = R\\n'\n")
    qstat.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(follow, "LOCAL", (0.01, 600.0))
    address, ledger = Address("here", "local", "pbs"), Ledger()
    (tmp_path / "run").mkdir()
    folder = PurePosixPath(tmp_path / "run")
    record = JobRecord("a", "n", address, "s", time.time(), folder, JobStatus(JobState.QUEUED), "1.pbs01")
    ledger.intend(record)
    looks = follow.looks(record, refresh.reach(address), ledger, pytest.fail)
    seen = [next(looks) for _ in range(3)]
    (Path(folder) / "progress.json").write_text('{"iteration": 1, "max_iter": 9}')
    seen += [next(looks) for _ in range(3)]
    (Path(folder) / "progress.json").write_text('{"iteration": 2, "max_iter": 9}')
    seen += [next(looks) for _ in range(3)]
    (Path(folder) / "exit.json").write_text('{"status": 0, "time": 1}')
    seen += list(looks)
    assert [s.progress and s.progress.iteration for s in seen] == [None] * 3 + [1] * 3 + [2] * 4
    assert seen[-1].record.status.state is JobState.DONE
    assert (tmp_path / "asked").read_text().count("\n") == 2  # at first, and when it had begun; the rest it says itself


def test_tests_are_given_once_and_half_lines_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "LOCAL", (0.01, 0.01))
    folder, ledger = PurePosixPath(tmp_path), Ledger()
    (tmp_path / "exit.json").write_text('{"status": 0, "time": 1}')
    test = '{"phase": "test", "iteration": %d, "outputs": {"accuracy": 0.5}}\n'
    (tmp_path / "metrics.jsonl").write_text(
        f'{test % 1}{{"phase": "te\n[1]\n{{"phase": "test"}}\n{test % 2}{{"phase": "tr'
    )
    record = JobRecord("a", "n", Address("l", "local", "local"), "s", time.time(), folder, JobStatus(JobState.QUEUED))
    ledger.intend(record)
    looks = list(follow.training(record, refresh.reach(record.address), ledger, pytest.fail))
    assert [t["iteration"] for look in looks for t in look.tests] == [1, 2]
    assert looks[-1].tracked.record.status.state is JobState.DONE
