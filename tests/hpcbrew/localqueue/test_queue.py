"""The queue on this machine, by its commands, with real runners and real jobs."""

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import sshd
from support.until import until

from hpcbrew.localqueue import store
from hpcbrew.localqueue.__main__ import main

QUEUE = [sys.executable, "-P", "-m", "hpcbrew.localqueue"]


def queue(*arguments: object, slots: int = 1) -> subprocess.CompletedProcess[str]:
    command = [*QUEUE, "--slots", str(slots), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def submit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    monkeypatch.chdir(tmp_path)

    def submit(body: str, *directives: str, slots: int = 1) -> str:
        asked = [f"#PBS {directive}" for directive in ("-j oe", "-o out", *directives)]
        script = "\n".join(["#!/bin/bash -l", *asked, 'cd "$PBS_O_WORKDIR"', body, ""])
        (tmp_path / "job.pbs").write_text(script)
        done = queue("qsub", "job.pbs", slots=slots)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return submit


def job(job_id: str, slots: int = 1) -> dict[str, Any]:
    """As qstat shows it, without the start of a process for each look."""
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        assert main(["--slots", str(slots), "qstat", "-x", "-f", job_id]) == 0
    return json.loads(shown.getvalue())["Jobs"][job_id]


def ended(job_id: str) -> dict[str, Any]:
    return until(lambda: (found := job(job_id))["job_state"] == "F" and found)


def test_a_job_runs_after_qsub_has_returned(submit, tmp_path: Path) -> None:
    found = ended(submit("echo hello"))
    assert (found["Exit_status"], found["substate"]) == (0, 92)
    assert (tmp_path / "out").read_text() == "hello\n"


def test_a_job_sees_what_pbs_would_show_it(submit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "xyz")
    job_id = submit('env >env; cat "$PBS_NODEFILE" >nodes', "-N lenet", "-q gpu", "-l select=2:ncpus=3")
    ended(job_id)
    seen = dict(line.split("=", 1) for line in (tmp_path / "env").read_text().splitlines() if "=" in line)
    expected = {"PBS_JOBID": job_id, "PBS_JOBNAME": "lenet", "PBS_QUEUE": "gpu", "PBS_O_WORKDIR": str(tmp_path)}
    assert expected.items() <= seen.items()
    assert (seen["NCPUS"], seen["PBS_ENVIRONMENT"]) == ("3", "PBS_BATCH")
    assert "SECRET" not in seen
    assert len((tmp_path / "nodes").read_text().splitlines()) == 2


def test_jobs_run_one_after_the_other_and_in_order(submit, tmp_path: Path) -> None:
    ids = [submit(f"echo start {i} >>log; sleep 0.2; echo end {i} >>log") for i in range(3)]
    ended(ids[-1])
    assert (tmp_path / "log").read_text().split() == [
        "start",
        "0",
        "end",
        "0",
        "start",
        "1",
        "end",
        "1",
        "start",
        "2",
        "end",
        "2",
    ]


def test_two_slots_run_two_jobs(submit, tmp_path: Path) -> None:
    meet = "touch {0}; for i in $(seq 200); do [ -e {1} ] && exit 0; sleep 0.1; done; exit 1"
    ids = [submit(meet.format("a", "b"), slots=2), submit(meet.format("b", "a"), slots=2)]
    assert [ended(i)["Exit_status"] for i in ids] == [0, 0]


@pytest.mark.parametrize(("body", "status"), [("exit 3", 3), ("kill -9 $$", 256 + 9), ("nosuchcommand", 127)])
def test_the_exit_status_is_counted_as_pbs_does(submit, body: str, status: int) -> None:
    found = ended(submit(body))
    assert (found["Exit_status"], found["substate"]) == (status, 93)


def test_a_job_past_its_walltime_is_killed_with_all_its_processes(submit, tmp_path: Path) -> None:
    found = ended(submit("sleep 600 & echo $! >pid; sleep 600", "-l walltime=2"))
    assert found["Exit_status"] == -29
    assert "exceeded resource walltime" in found["comment"]
    assert "=>> PBS: job killed: walltime" in (tmp_path / "out").read_text()
    pid = int((tmp_path / "pid").read_text())
    until(lambda: not Path(f"/proc/{pid}").exists())


def test_a_running_job_is_asked_to_end_when_deleted(submit, tmp_path: Path) -> None:
    job_id = submit("trap 'echo asked >>log; exit 5' TERM; touch ready; while :; do sleep 0.1; done")
    until((tmp_path / "ready").exists)
    assert queue("qdel", job_id).returncode == 0
    found = ended(job_id)
    assert (found["substate"], (tmp_path / "log").read_text()) == (91, "asked\n")
    assert "terminated by" in found["comment"]


def test_a_queued_job_that_is_deleted_never_runs(submit, tmp_path: Path) -> None:
    first, second = submit("touch ready; sleep 600"), submit("touch ran")
    until((tmp_path / "ready").exists)
    queue("qdel", second)
    queue("qdel", first)
    ended(first)
    assert "Exit_status" not in job(second)
    assert not (tmp_path / "ran").exists()


def test_a_held_job_waits_until_it_is_released(submit) -> None:
    first = submit("sleep 600")
    second = submit("true")
    queue("qhold", second)
    queue("qdel", first)
    ended(first)
    assert (job(second)["job_state"], job(second)["Hold_Types"]) == ("H", "u")
    queue("qrls", second)
    assert ended(second)["Exit_status"] == 0


def test_a_dependency_that_cannot_be_met_ends_the_job_unrun(submit) -> None:
    failed = submit("sleep 0.5; exit 1")
    after = [submit("true", f"-W depend={kind}:{failed}") for kind in ("afterok", "afternotok", "afterany")]
    shown = [ended(job_id) for job_id in after]
    assert [found.get("Exit_status") for found in shown] == [None, 0, 0]
    assert shown[0]["substate"] == 92


def test_an_array_runs_its_jobs_and_ends_with_the_last(submit, tmp_path: Path) -> None:
    script = 'echo "$PBS_JOBID" | tee -a ran; exit $((PBS_ARRAY_INDEX - 1))'
    array = submit(script, "-J 1-2", "-r y", "-o ^array_index^.out")
    assert array.endswith("[].local")
    number = array.removesuffix("[].local")
    found = ended(array)
    assert (found["Exit_status"], found["substate"], found["array"]) == (0, 93, "True")
    assert found["array_state_count"] == "Queued:0 Running:0 Exiting:0 Expired:2"
    assert (tmp_path / "ran").read_text().split() == [f"{number}[1].local", f"{number}[2].local"]
    assert (tmp_path / "2.out").read_text() == f"{number}[2].local\n"
    assert [job(f"{number}[{i}].local")["Exit_status"] for i in (1, 2)] == [0, 1]
    assert queue("qstat", number).returncode == 153  # as PBS: an array is known by its brackets only


def test_one_job_of_an_array_is_deleted_and_then_all(submit, tmp_path: Path) -> None:
    array = submit("touch ready; sleep 600", "-J 1-3")
    number = array.removesuffix("[].local")
    until((tmp_path / "ready").exists)
    assert queue("qdel", f"{number}[2].local").returncode == 0
    assert (job(f"{number}[2].local")["job_state"], job(array)["job_state"]) == ("F", "B")
    assert queue("qdel", array).returncode == 0
    assert ended(array)["substate"] == 91


def test_no_process_is_left_when_the_queue_is_empty(submit, home: Path) -> None:
    ended(submit("true"))
    until(lambda: not _runners(home))


def test_a_job_whose_runner_was_killed_is_not_said_to_run(submit, tmp_path: Path, home: Path) -> None:
    job_id = submit("echo $$ >pid; touch ready; sleep 600")
    until((tmp_path / "ready").exists)
    for pid in _runners(home):
        os.kill(pid, signal.SIGKILL)
    os.killpg(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    found = ended(job_id)
    assert "Exit_status" not in found
    assert "its runner was killed or the machine restarted" in found["comment"]


def test_a_job_that_outlives_its_runner_keeps_its_slot(submit, tmp_path: Path, home: Path) -> None:
    first = submit("touch ready; while [ ! -e go ]; do sleep 0.1; done")
    until((tmp_path / "ready").exists)
    for pid in _runners(home):
        os.kill(pid, signal.SIGKILL)
    second = submit("touch ran")
    assert (job(first)["job_state"], job(second)["job_state"]) == ("R", "Q")
    (tmp_path / "go").touch()
    assert ended(second)["Exit_status"] == 0


def test_many_submits_at_once_lose_no_job(submit, tmp_path: Path) -> None:
    (tmp_path / "job.pbs").write_text("#PBS -o out\necho x >>$PBS_O_WORKDIR/ran\n")
    started = [subprocess.Popen([*QUEUE, "qsub", "job.pbs"], stdout=subprocess.PIPE, text=True) for _ in range(8)]
    ids = [process.communicate()[0].strip() for process in started]
    for job_id in ids:
        ended(job_id)
    assert len(set(ids)) == 8
    assert (tmp_path / "ran").read_text() == "x\n" * 8


@pytest.mark.parametrize("command", ["qdel", "qhold", "qrls", "qstat"])
def test_an_unknown_job_is_pbs_s_error(command: str) -> None:
    done = queue(command, "99.local")
    assert (done.returncode, done.stderr) == (153, f"{command}: Unknown Job Id 99.local\n")


@pytest.mark.parametrize("job_id", ["9" * 30, f"1[{'9' * 30}]", "²", "9" * 5000])
def test_what_no_job_can_be_called_is_an_unknown_job(capsys: pytest.CaptureFixture[str], job_id: str) -> None:
    assert main(["qstat", job_id]) == 153
    assert "Unknown Job Id" in capsys.readouterr().err


def test_a_finished_job_cannot_be_deleted(submit) -> None:
    job_id = submit("true")
    ended(job_id)
    done = queue("qdel", job_id)
    assert (done.returncode, done.stderr) == (35, f"qdel: Job has finished {job_id}\n")


@pytest.mark.parametrize("directive", ["-l walltime=soon", "-Z x", "-J 1-1"])
def test_a_bad_directive_is_refused(tmp_path: Path, directive: str) -> None:
    (tmp_path / "bad.pbs").write_text(f"#PBS {directive}\ntrue\n")
    assert queue("qsub", tmp_path / "bad.pbs").returncode == 166
    assert "Jobs" not in json.loads(queue("qstat").stdout)


def _runners(home: Path) -> list[int]:
    """The runners of this test's own queue: those with its data folder in their environment."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
            ours = f"XDG_DATA_HOME={home / 'data'}".encode() in (process / "environ").read_bytes().split(b"\0")
        except (OSError, ValueError):
            continue
        if ours and b"hpcbrew.localqueue" in words and b"run" in words:
            found.append(int(process.name))
    return found


def test_what_a_job_leaves_outside_its_session_does_not_keep_its_slot(submit, tmp_path: Path) -> None:
    ended(submit("setsid sleep 300 >/dev/null 2>&1 & echo $! >pid; sleep 0.3"))
    found = ended(submit("echo next"))
    assert found["Exit_status"] == 0
    assert until(lambda: sshd.ended((tmp_path / "pid").read_text()))


def test_nor_does_it_where_the_runner_was_killed(submit, tmp_path: Path) -> None:
    job_id = submit("setsid sleep 300 >/dev/null 2>&1 & echo $PPID >runner; kill -9 $PPID; exit 0")
    until(lambda: (tmp_path / "runner").exists() and sshd.ended((tmp_path / "runner").read_text()))
    assert ended(submit("echo next"))["Exit_status"] == 0
    assert "its runner was killed" in ended(job_id)["comment"]


@pytest.mark.parametrize(("age", "said"), [(60, True), (0, False)])
def test_a_job_that_waits_for_what_another_left_behind_says_so(age: int, said: bool) -> None:
    """As on a machine where nothing can be seen of what runs."""
    with store.transaction() as db:
        options = {"queue": "local", "ncpus": 1, "ngpus": 0, "nodes": 1}
        seq = store.add(db, "next", "/", options, {})
        store.change(db, seq, ctime=time.time() - age)
        taken = store.take_slot(0)
    assert taken is not None
    comment = job(f"{seq}.local").get("comment", "")
    taken.close()
    assert ("a process left behind by an ended job occupies the slot" in comment) is said
    assert ("slot-0.lock names it" in comment) is said


def test_a_row_that_is_none_hides_no_other_job(submit, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = ended(submit("true")), submit("true")
    ended(second)
    with store.transaction() as db:
        store.change(db, 1, options="[" * 100_000)
    assert main(["qstat", "-x", "-f"]) == 0
    shown = capsys.readouterr()
    assert list(json.loads(shown.out)["Jobs"]) == [second]
    assert "the entry of job 1 is damaged: is nested too deep" in shown.err
    assert first["Exit_status"] == 0


def test_nobody_else_may_read_the_queue(submit) -> None:
    ended(submit("true"))
    for path in (store.folder(), *store.folder().rglob("*")):
        assert path.stat().st_mode & 0o077 == 0, path


@pytest.mark.parametrize(
    ("part", "damage", "said"),
    [
        (b"options TEXT", b"optxons TEXT", "the queue cannot be used"),
        (b"ctime REAL", b"ct\xc4me REAL", "the queue cannot be used"),
        (b"environment", b"environmxnt", "the entry of job 1 is damaged: environment is missing"),
    ],
)
def test_a_damaged_queue_is_told_of(capsys: pytest.CaptureFixture[str], part: bytes, damage: bytes, said: str) -> None:
    with store.transaction() as db:
        store.add(db, "n", "/", {"ncpus": 1, "ngpus": 0, "nodes": 1, "queue": "local"}, {})
    path = store.folder() / "queue.db"
    path.write_bytes(path.read_bytes().replace(part, damage))
    main(["qstat"])
    assert said in capsys.readouterr().err
