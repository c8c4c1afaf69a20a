import json
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from hpcbrew.address import Address
from hpcbrew.errors import TransportError
from hpcbrew.job import After, JobRecord, JobState, JobStatus
from hpcbrew.track import run_folder
from hpcbrew.track.run_folder import ExitRecord, Progress
from hpcbrew.transports.local import Local

DESCRIPTION = {
    "name": "lenet",
    "set": {"base_lr": "0.1"},
    "resources": {"nodes": 2},
    "links": 1,
    "engine": "own",
    "after": None,
    "definitions": ["solver.prototxt"],
}


@pytest.fixture
def record(tmp_path: Path) -> JobRecord:
    (tmp_path / "job.json").write_text(json.dumps(DESCRIPTION))
    status = JobStatus(JobState.FAILED, "", 2)
    return JobRecord("ab", "lenet", Address("local", "local", "local"), "s", 0.0, PurePosixPath(tmp_path), status, "1")


def test_a_job_is_described_by_its_folder(record: JobRecord) -> None:
    described = run_folder.describe(record, Local())
    assert (described.name, described.overrides, described.nodes) == ("lenet", {"base_lr": "0.1"}, 2)
    assert (described.definitions, described.points, described.after) == (("solver.prototxt",), (), None)


def test_one_job_of_an_array_is_described_by_the_array(record: JobRecord) -> None:
    point = replace(record, token="ab[3]", run_folder=record.run_folder / "points" / "3")
    assert run_folder.describe(point, Local()) == run_folder.describe(record, Local())


@pytest.mark.parametrize("text", [None, "{", "[]", json.dumps({**DESCRIPTION, "resources": None, "set": {}})[:-2]])
def test_a_description_that_cannot_be_read_is_named(record: JobRecord, text: str | None) -> None:
    path = Path(record.run_folder / "job.json")
    path.write_text(text) if text is not None else path.unlink()
    with pytest.raises(TransportError, match=r"job\.json: the description of lenet is gone or cannot be read"):
        run_folder.describe(record, Local())


@pytest.mark.parametrize(
    ("changed", "several"),
    [
        ({}, False),
        ({"links": 3}, True),
        ({"links": None}, True),
        ({"after": {"id": "1", "name": "n", "folder": None}}, False),
        ({"after": {"id": "1", "name": "n", "folder": "/r"}}, True),
    ],
)
def test_a_chain_and_what_waits_for_one_are_several_jobs(changed: dict, several: bool) -> None:
    described = run_folder.read_description(json.dumps({**DESCRIPTION, **changed}).encode())
    assert described is not None
    assert described.is_sequence is several
    assert described.after == (After(**changed["after"]) if changed.get("after") else None)


def test_ids_are_read_once_each_and_what_is_none_is_left_aside() -> None:
    assert run_folder.read_ids(b"12.pbs01\n\nnoise here\n13.pbs01\n12.pbs01\n") == ("12.pbs01", "13.pbs01")
    assert run_folder.read_ids(None) == ()


def test_the_exit_record() -> None:
    whole = b'{"status": 3, "time": 1.5, "host": "node1", "reason": "killed"}'
    assert run_folder.read_exit(whole) == ExitRecord(3, 1.5, "node1", "killed")
    assert run_folder.read_exit(b'{"status": 0}') == ExitRecord(0, 0.0)
    assert run_folder.read_exit(whole[:-1]) is None
    assert run_folder.read_exit(b'{"status": "0"}') is None


def test_the_progress_of_a_newer_engine_is_read_too() -> None:
    assert run_folder.read_progress(b'{"iteration": 1, "max_iter": 9, "loss": null, "epoch": 2}') == Progress(1, 9)
    assert run_folder.read_progress(b'{"iteration": 1}') is None


def test_a_line_of_metrics_that_is_not_whole_is_left_out() -> None:
    assert run_folder.read_metrics(b'{"iteration": 1}\n{"iteration": 2}\n{"itera') == [
        {"iteration": 1},
        {"iteration": 2},
    ]
    assert run_folder.read_metrics(None) == []


def test_the_newest_state_is_the_last_whose_model_is_there() -> None:
    sizes = {"n_iter_9.solverstate": 5, "n_iter_9.caffemodel": 5, "n_iter_10.solverstate.h5": 5}
    assert run_folder.newest_state(sizes) == ("n_iter_9.solverstate", 9)
    assert run_folder.newest_state({**sizes, "n_iter_10.caffemodel.h5": 5}) == ("n_iter_10.solverstate.h5", 10)
    assert run_folder.newest_state({**sizes, "n_iter_9.caffemodel": 0}) is None


def test_the_model_and_the_engines_complaint(record: JobRecord) -> None:
    assert run_folder.model(record, Local()) is None
    snapshots = Path(record.run_folder / "snapshots")
    snapshots.mkdir()
    for name in ("n_iter_9.caffemodel", "n_iter_10.caffemodel", "n_iter_10.solverstate", "n_iter_11.caffemodel.part"):
        (snapshots / name).touch()
    assert run_folder.model(record, Local()) == PurePosixPath(snapshots / "n_iter_10.caffemodel")
    Path(record.run_folder / "train.log").write_text("I0101 start\ncaffe: error: net.prototxt:3: no such layer\n")
    assert run_folder.complaint(record, Local()) == "net.prototxt:3: no such layer"
    assert run_folder.complaint(replace(record, status=JobStatus(JobState.DONE)), Local()) is None
