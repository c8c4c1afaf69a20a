import json
import time
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest
from support import mac

from hpcbrew.address import Address
from hpcbrew.job import JobRecord, JobState, JobStatus
from hpcbrew.schedulers.pbs_status import USED_MORE_MEMORY
from hpcbrew.track import refresh
from hpcbrew.track.ends import NEVER_BEGAN, NO_SNAPSHOT
from hpcbrew.track.ledger import Ledger
from hpcbrew.track.status import FORGOTTEN

LOCAL = Address("here", "local", "pbs")

Look = Callable[..., JobStatus]


@pytest.fixture
def look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Look:
    """What a job has become at a site without history, which knows nothing of a job that has ended."""
    qstat = '#!/bin/sh\nfor id; do case $id in -*);; *) echo "qstat: Unknown Job Id $id" >&2;; esac; done; exit 153\n'
    (tmp_path / "qstat").write_text(qstat)
    (tmp_path / "qstat").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    ledger, queued = Ledger(tmp_path / "ledger.db"), JobStatus(JobState.QUEUED)
    (tmp_path / "run").mkdir()

    def asked(job_id: str = "1.pbs01", *, named: str = "n") -> JobStatus:
        folder = PurePosixPath(tmp_path, "run")
        ledger.intend(JobRecord("a", "n", LOCAL, "s", 0.0, folder, queued, job_id))
        (seen,) = refresh.refresh([ledger.find(named)], ledger)
        assert seen.trouble == ""
        return seen.record.status

    return asked


def ended(folder: Path, status: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "exit.json").write_text(f'{{"status": {status}, "time": {time.time()}}}')


def sweep_of(run: Path, points: int) -> None:
    described = {"set": {}, "resources": {"nodes": 1}, "links": 1, "engine": "own", "after": None, "definitions": []}
    (run / "job.json").write_text(json.dumps(described | {"points": [{"base_lr": str(n)} for n in range(points)]}))


@pytest.mark.parametrize("snapshot", ["t_iter_5.solverstate", None])
def test_a_job_that_left_in_time_can_go_on_where_a_snapshot_is_seen(
    tmp_path: Path, look: Look, snapshot: str | None
) -> None:
    ended(tmp_path / "run", 75)
    (tmp_path / "run" / "snapshots").mkdir()
    if snapshot:
        (tmp_path / "run" / "snapshots" / snapshot).touch()
    status = look()
    assert (status.state, status.exit_status) == (JobState.OUT_OF_WALLTIME, 75)
    assert ("hpcbrew resume continues" in status.reason) is bool(snapshot)
    assert (status.reason == NO_SNAPSHOT) is not bool(snapshot)


def test_a_snapshot_is_seen_on_a_mac_too(tmp_path: Path, look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    ended(tmp_path / "run", 75)
    (tmp_path / "run" / "snapshots").mkdir()
    (tmp_path / "run" / "snapshots" / "t_iter_5.solverstate").touch()
    monkeypatch.setenv("PATH", f"{tmp_path}:{mac.commands(tmp_path / 'mac')}")
    assert "hpcbrew resume continues" in look().reason


def test_what_a_routing_queue_dropped_never_began(tmp_path: Path, look: Look) -> None:
    (tmp_path / "run" / "solver.prototxt").touch()
    assert look() == JobStatus(JobState.NEVER_RAN, NEVER_BEGAN)


@pytest.mark.parametrize("files", [("solver.prototxt", "train.log"), ()], ids=["begun", "the folder was cleared"])
def test_what_began_and_left_no_record_is_lost(tmp_path: Path, look: Look, files: tuple[str, ...]) -> None:
    for name in files:
        (tmp_path / "run" / name).touch()
    assert look() == JobStatus(JobState.LOST, FORGOTTEN)


SWEEPS = {
    "all went well": ([0, 0], JobStatus(JobState.DONE, "", 0)),
    "one failed": ([0, 1], JobStatus(JobState.FAILED, "1 of its 2 jobs failed", 1)),
    "one left nothing": ([0], JobStatus(JobState.LOST, f"1 of its 2 jobs left no exit record; {FORGOTTEN}")),
    "none began": ([], JobStatus(JobState.NEVER_RAN, NEVER_BEGAN)),
}


@pytest.mark.parametrize("kind", SWEEPS)
def test_a_sweep_without_history_is_judged_by_its_points(tmp_path: Path, look: Look, kind: str) -> None:
    statuses, expected = SWEEPS[kind]
    sweep_of(tmp_path / "run", 2)
    for n, status in enumerate(statuses, 1):
        ended(tmp_path / "run" / "points" / str(n), status)
    assert look("3[].pbs01") == expected


def test_a_sweep_whose_description_is_gone_stays_lost(look: Look) -> None:
    assert look("3[].pbs01") == JobStatus(JobState.LOST, FORGOTTEN)


def test_a_point_that_was_cancelled_stays_so_when_it_is_forgotten(tmp_path: Path, look: Look) -> None:
    point = tmp_path / "run" / "points" / "2"
    point.mkdir(parents=True)
    (point / "cancelled").touch()
    assert look("3[].pbs01", named="n[2]").state is JobState.CANCELLED


def test_what_was_cancelled_from_another_machine_is_so(tmp_path: Path, look: Look) -> None:
    ended(tmp_path / "run", 143)
    (tmp_path / "run" / "cancelled").touch()
    assert look() == JobStatus(JobState.CANCELLED, "by hpcbrew cancel", 143)


KILLED = {  # recorded, of OpenPBS 23.06.06
    "mem 602012kb exceeded limit 102400kb": (JobState.OUT_OF_MEMORY, USED_MORE_MEMORY),
    "walltime 62 exceeded limit 60": (JobState.OUT_OF_WALLTIME, "ran longer than its walltime"),
    "cput 12 exceeded limit 10": (JobState.FAILED, "used more CPU time than it requested"),
}


@pytest.mark.parametrize("before", ["", "a line\n", "Welcome\n\x1b]0;me@node01\x07", "\x1b]0;me\x1b\\", "\x1b[0m"])
@pytest.mark.parametrize("words", KILLED)
def test_what_pbs_wrote_into_the_job_s_output_tells_why_it_killed_it(
    tmp_path: Path, look: Look, words: str, before: str
) -> None:
    """Profile files there may have set a window's title or a colour before."""
    ended(tmp_path / "run", 143)
    (tmp_path / "run" / "scheduler.log").write_text(f"{before}=>> PBS: job killed: {words}\n")
    assert look() == JobStatus(*KILLED[words], 143)


def test_so_it_does_of_a_job_that_had_no_time_for_its_exit_record(tmp_path: Path, look: Look) -> None:
    for name in ("solver.prototxt", "train.log"):
        (tmp_path / "run" / name).touch()
    (tmp_path / "run" / "scheduler.log").write_text("=>> PBS: job killed: walltime 80 exceeded limit 60\n")
    assert look() == JobStatus(JobState.OUT_OF_WALLTIME, "ran longer than its walltime")


@pytest.mark.parametrize(
    ("words", "reason"), [("mem", "used more memory than it requested"), ("memsw", "used more virtual memory than it")]
)
def test_what_the_kernel_killed_for_its_memory_is_told_by_the_hook(
    tmp_path: Path, look: Look, words: str, reason: str
) -> None:
    """PBS itself has Exit_status 137 then, and no comment."""
    ended(tmp_path / "run", 137)
    said = f"Cgroup {words} limit exceeded: Memory cgroup out of memory: Killed process 4711 (caffe)\n"
    (tmp_path / "run" / "scheduler.log").write_text(said)
    status = look()
    assert (status.state, status.reason[: len(reason)]) == (JobState.OUT_OF_MEMORY, reason)


def test_a_hook_that_saw_memory_short_has_ended_nothing(tmp_path: Path, look: Look) -> None:
    ended(tmp_path / "run", 143)
    (tmp_path / "run" / "scheduler.log").write_text("Cgroup mem limit exceeded: \n")
    assert look() == JobStatus(JobState.FAILED, "killed by SIGTERM", 143)


def test_other_words_there_tell_nothing(tmp_path: Path, look: Look) -> None:
    ended(tmp_path / "run", 143)
    (tmp_path / "run" / "scheduler.log").write_text("I said: =>> PBS: job killed: mem 2kb exceeded limit 1kb\n")
    assert look() == JobStatus(JobState.FAILED, "killed by SIGTERM", 143)
