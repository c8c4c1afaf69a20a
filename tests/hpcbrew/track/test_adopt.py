import json
import os
import time
from pathlib import Path, PurePosixPath

import pytest
from support import mac

from hpcbrew.clusters import profiles
from hpcbrew.command_result import CommandResult
from hpcbrew.job import JobState
from hpcbrew.track import adopt
from hpcbrew.track.ledger import Ledger
from hpcbrew.transports.local import Local


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


def test_a_mac_s_own_jobs_are_taken_up(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = folder(runs, "own", "0000000a")
    os.utime(made / "job.id", (1e9, 1e9))
    monkeypatch.setenv("PATH", str(mac.commands(tmp_path / "mac")))
    assert taken() == ["own"]
    assert Ledger().all()[0].submitted == 1e9


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


@pytest.mark.parametrize(
    "described",
    [
        {"name": "a\n#"}, {"name": ["a"]}, {"token": "0000000A"}, {"token": "x" * 8}, {"token": 5}, {"name": "other"},
        {"solver": 5}, {"name": "\x1b[2J"}, {"name": None},
    ],
    ids=ascii,
)  # fmt: skip
def test_a_folder_that_says_something_odd_of_itself_is_told_of(runs: Path, described: dict) -> None:
    folder(runs, "odd", "0000000a", described=described)
    folder(runs, "sound", "0000000b")
    told: list[str] = []
    taken_up = adopt.adopt(profiles.load("local"), Ledger(), told.append)
    assert [w.record.name for w in taken_up] == ["sound"]
    assert len(told) == 1
    assert told[0].startswith(f"{runs}/odd-0000000a is skipped: job.json: ")
    assert told[0].isprintable()


def test_the_description_of_a_very_large_sweep_is_read(transport, tmp_path: Path) -> None:
    points = {"points": [{"base_lr": "0.1"}] * 60_000}
    made = folder(tmp_path, "sweep", "0000000a", described=points)
    assert (made / "job.json").stat().st_size > 2**20
    (found,) = transport.read_all([PurePosixPath(made / "job.json")])
    assert adopt._identity(transport, PurePosixPath(made), found) == ("sweep", "0000000a", "/s.prototxt")


def test_ids_that_are_none_are_told_of(runs: Path) -> None:
    made = folder(runs, "odd", "0000000a")
    (made / "job.id").write_text("".join(f"{n}.local\n" for n in range(20_000)))
    told: list[str] = []
    assert adopt.adopt(profiles.load("local"), Ledger(), told.append) == []
    assert told == [f"{made} is skipped: job.id: holds 20000 ids, but no job has more than 10000"]


def test_what_a_server_says_beside_its_folders_is_left_aside(monkeypatch: pytest.MonkeyPatch, runs: Path) -> None:
    answer = f"noise\0x\t{runs}/a\0" + "9" * 400 + f"\t{runs}/b\0001.5\t/etc\0001.5\t{runs}/c/d\0001.5\t{runs}/e"
    monkeypatch.setattr(Local, "run", lambda *_, **__: CommandResult(0, answer))
    assert adopt._submitted(Local(), PurePosixPath(runs)) == {PurePosixPath(runs, "e"): 1.5}


def test_a_solver_of_any_name_is_written_down(runs: Path) -> None:
    folder(runs, "odd", "0000000a", described={"solver": "\ud800\0" + "x" * 9999})
    assert taken() == ["odd"]
    assert Ledger().all()[0].solver.startswith(r"\ud800")


def test_of_many_jobs_those_of_late_are_shown_and_taken_up(runs: Path, hpcbrew) -> None:
    for age, name in ((100, "old"), (1, "new")):
        made = folder(runs, name, f"{age:08x}")
        os.utime(made / "job.id", (time.time() - 86400 * age,) * 2)
    shown = hpcbrew("adopt", "--cluster", "local", "--since", "7d", "--dry-run").stdout
    assert ("new, submitted " in shown, "old" in shown, Ledger().all()) == (True, False, [])
    assert "1 job would be adopted; none was" in shown
    hpcbrew("adopt", "--cluster", "local", "--since", "7d")
    assert [record.name for record in Ledger().all()] == ["new"]
