import json
import time
from pathlib import Path, PurePosixPath

import pytest

from hpcbrew.address import Address
from hpcbrew.cli import status
from hpcbrew.job import JobRecord, JobState, JobStatus
from hpcbrew.track.ledger import Ledger

LOCAL = Address("local", "local", "local")
OLD = 8 * 24 * 3600


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The run folder of a job that was done, with what it wrote at last."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "exit.json").write_text('{"status": 0, "time": 1}')
    (folder / "progress.json").write_text('{"iteration": 5, "max_iter": 10, "loss": 0.5, "seconds_left": 60}')
    return folder


def job(folder: Path, name: str, state: JobState, *, age: float = 0.0) -> None:
    submitted = time.time() - age
    Ledger().intend(
        JobRecord(name, name, LOCAL, "s", submitted, PurePosixPath(folder), JobStatus(state), f"{name}.local")
    )


def names(done) -> list[str]:
    return [shown["name"] for shown in json.loads(done.stdout)]


def test_what_ended_long_ago_is_shown_with_all(hpcbrew, folder: Path) -> None:
    job(folder, "old", JobState.DONE, age=OLD)
    job(folder, "new", JobState.FAILED)
    assert names(hpcbrew("status", "--json")) == ["new"]
    assert names(hpcbrew("status", "--json", "--all")) == ["old", "new"]
    assert names(hpcbrew("status", "--json", "old")) == ["old"]


def test_watch_goes_on_until_all_have_ended(hpcbrew, folder: Path) -> None:
    job(folder, "a", JobState.RUNNING)
    done = hpcbrew("status", "--watch")
    assert (done.returncode, done.stdout.split().count("done")) == (0, 1)


def test_a_lost_job_that_is_found_is_shown_as_it_is(hpcbrew, folder: Path) -> None:
    job(folder, "lost", JobState.LOST)
    job(folder, "over", JobState.FAILED)
    shown = json.loads(hpcbrew("status", "--json").stdout)
    assert {row["name"]: row["state"] for row in shown} == {"lost": "done", "over": "failed"}


def test_a_cluster_that_does_not_answer_changes_nothing(hpcbrew, tmp_path: Path, home: Path) -> None:
    (tmp_path / "empty").mkdir()
    job(tmp_path / "empty", "a", JobState.RUNNING)
    (home / "data" / "hpcbrew" / "queue").write_text("in the way of the queue")
    done = hpcbrew("status", "--json")
    assert (done.returncode, json.loads(done.stdout)[0]["state"]) == (1, "running")
    assert "local could not be asked, its jobs are shown as last known: qstat failed" in done.stderr


def test_a_job_that_has_ended_keeps_what_came_of_it(hpcbrew, folder: Path) -> None:
    best = {"loss": {"value": 0.25, "iteration": 8}, "accuracy": {"value": 0.75, "iteration": 4}}
    progress = {"iteration": 10, "max_iter": 10, "loss": 0.5, "began": 40.0, "time": 99.0, "best": best}
    (folder / "progress.json").write_text(json.dumps(progress))
    (folder / "exit.json").write_text('{"status": 0, "time": 100}')
    job(folder, "a", JobState.RUNNING)
    hpcbrew("status")
    (folder / "progress.json").unlink()
    row = hpcbrew("status").stdout.splitlines()[-1].split()
    assert row[:10] == ["a.local", "a", "local", "done", "10/10", "0.5", "accuracy", "0.75", "at", "4"]
    assert row[10:] == ["1m00s", *time.strftime("%d %b", time.localtime(100)).split()]
    (kept,) = json.loads(hpcbrew("status", "--json").stdout)
    assert (kept["ended"], kept["progress"]["began"]) == ("1970-01-01T00:01:40+00:00", "1970-01-01T00:00:40+00:00")
    assert kept["progress"]["best"]["accuracy"] == best["accuracy"]


def test_a_job_that_ended_before_that_was_kept_is_looked_at_once(hpcbrew, folder: Path) -> None:
    job(folder, "a", JobState.DONE)
    for _ in range(2):
        assert "5/10" in hpcbrew("status").stdout
        (folder / "progress.json").unlink(missing_ok=True)


def test_what_ended_today_is_shown_with_its_time(hpcbrew, folder: Path) -> None:
    ended = time.time()
    (folder / "exit.json").write_text(json.dumps({"status": 0, "time": ended}))
    job(folder, "a", JobState.RUNNING)
    shown = hpcbrew("status").stdout.splitlines()[-1].split()[-1]
    if time.localtime()[:3] == time.localtime(ended)[:3]:  # no midnight between
        assert shown == time.strftime("%H:%M", time.localtime(ended))


def test_a_job_that_the_engine_refused_is_shown_with_its_words(hpcbrew, folder: Path) -> None:
    (folder / "exit.json").write_text('{"status": 2, "time": 1}')
    (folder / "train.log").write_text("...\ncaffe: error: layer x:\n batch_size is 0\n")
    job(folder, "a", JobState.RUNNING)
    for _ in range(2):
        assert hpcbrew("status").stdout.rstrip().endswith("layer x: batch_size is 0")


def test_a_job_that_diverged_says_so_and_when(hpcbrew, folder: Path) -> None:
    (folder / "exit.json").write_text('{"status": 65, "time": 1}')
    (folder / "progress.json").write_text('{"iteration": 21, "max_iter": 90, "loss": null, "diverged": 20}')
    job(folder, "a", JobState.RUNNING)
    row = hpcbrew("status").stdout.splitlines()[-1]
    assert row.split()[3:6] == ["diverged", "21/90", "nan"]
    assert "at iteration 20: the loss is no longer a number" in row


def test_jobs_are_chosen_by_patterns_by_failure_and_by_number(hpcbrew, folder: Path) -> None:
    for name, state in (("lenet-1", JobState.DONE), ("lenet-2", JobState.DIVERGED), ("other", JobState.FAILED)):
        job(folder, name, state)
    assert names(hpcbrew("status", "--json", "lenet*")) == ["lenet-1", "lenet-2"]
    assert names(hpcbrew("status", "--json", "--failed")) == ["lenet-2", "other"]
    assert names(hpcbrew("status", "--json", "-n", "2")) == ["lenet-2", "other"]
    none = hpcbrew("status", "alex*")
    assert (none.returncode, none.stderr) == (
        2,
        "hpcbrew: error: no job's name or id matches 'alex*'; hpcbrew status --all lists all jobs\n",
    )


def test_ctrl_c_is_the_way_out_of_watch(monkeypatch: pytest.MonkeyPatch, home: Path, folder: Path, capsys) -> None:
    def pressed(*_: object) -> None:
        raise KeyboardInterrupt

    job(folder, "new", JobState.QUEUED)
    monkeypatch.setattr(status, "refresh", pressed)
    with pytest.raises(SystemExit) as end:
        status.command.main(["--watch"], standalone_mode=False)
    assert (end.value.code, capsys.readouterr().err) == (130, "\n")
