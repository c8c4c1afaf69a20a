import json
import os
from pathlib import Path

import pytest

from hpcbrew.clusters import profiles
from hpcbrew.job import JobState
from hpcbrew.track import adopt
from hpcbrew.track.ledger import Ledger


@pytest.fixture
def runs(home: Path) -> Path:
    """Where run folders lie on the `local` cluster."""
    runs = home / "data" / "hpcbrew" / "runs"
    runs.mkdir(parents=True)
    return runs


def folder(runs: Path, name: str, token: str, job_id: str | None = "7.local", *, described: dict | None = None) -> Path:
    made = runs / f"{name}-{token}"
    made.mkdir()
    values = {"name": name, "token": token, "solver": "/s.prototxt", **(described or {})}
    (made / "job.json").write_text(json.dumps(values))
    (made / "exit.json").write_text('{"status": 0, "time": 1}')
    if job_id is not None:
        (made / "job.id").write_text(f"{job_id}\n")
    return made


def taken() -> list[str]:
    return [w.record.name for w in adopt.adopt(profiles.load("local"), Ledger())]


def test_jobs_of_another_machine_are_taken_up_once_and_in_their_order(runs: Path) -> None:
    for age, name, job_id in ((1, "newer", "8[].local"), (2, "older", "7.local")):
        made = folder(runs, name, f"{age:08x}", job_id)
        os.utime(made / "job.id", (1e9 - age, 1e9 - age))
    assert taken() == ["older", "newer"]
    assert taken() == []
    older, newer = Ledger().all()
    assert (older.id, older.status.state, older.submitted) == ("7.local", JobState.DONE, 1e9 - 2)
    assert (newer.id, newer.run_folder.name) == ("8[].local", "newer-00000001")


def test_what_is_no_job_is_left_aside(runs: Path) -> None:
    folder(runs, "unsent", "0000000a", None)
    folder(runs, "other", "0000000b", described={"token": "0000000c"})
    folder(runs, "climbs", "0000000d", described={"name": "../../climbs"})
    folder(runs, "broken", "0000000e").joinpath("job.json").write_text("{")
    (runs / "empty").mkdir()
    assert taken() == []


def test_a_cluster_without_jobs(hpcbrew) -> None:
    done = hpcbrew("adopt", "--cluster", "local")
    assert (done.returncode, done.stdout) == (0, "local has no jobs of yours that are not known here already\n")


def test_what_was_taken_up_is_shown(hpcbrew, runs: Path) -> None:
    folder(runs, "lenet", "0000000f")
    assert hpcbrew("adopt", "--cluster", "local").stdout == "7.local  lenet, done on local\n"
    assert "lenet" in hpcbrew("status", "--all").stdout
