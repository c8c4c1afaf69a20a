import json
import time
from pathlib import Path, PurePosixPath

import pytest

from hpcbrew.address import Address
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
    assert (done.returncode, done.stdout.split()[-1]) == (0, "done")


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
