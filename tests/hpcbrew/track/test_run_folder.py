import json
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest
from support.descriptions import DESCRIPTION

from engine.schema import Malformed
from hpcbrew.address import Address
from hpcbrew.errors import TransportError
from hpcbrew.job import JobRecord, JobState, JobStatus
from hpcbrew.track import run_folder
from hpcbrew.track.run_folder import ExitRecord, Progress
from hpcbrew.transports import base
from hpcbrew.transports.local import Local


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
    with pytest.raises(TransportError, match=r"job\.json: the description of lenet is missing or cannot be read"):
        run_folder.describe(record, Local())


def test_ids_are_read_once_each_and_what_is_none_is_left_aside() -> None:
    assert run_folder.read_ids(b"12.pbs01\n\nnoise here\n13.pbs01\n12.pbs01\n") == ("12.pbs01", "13.pbs01")
    assert run_folder.read_ids(None) == ()


def test_the_exit_record() -> None:
    whole = b'{"status": 3, "time": 1.5, "host": "node1", "reason": "killed"}'
    assert run_folder.read_exit(whole) == ExitRecord(3, 1.5, "node1", "killed")
    assert run_folder.read_exit(b'{"status": 0}') == ExitRecord(0, 0.0)
    assert run_folder.read_exit(None) is run_folder.read_exit(b"") is None


def test_the_progress_of_a_newer_engine_is_read_too() -> None:
    assert run_folder.read_progress(b'{"iteration": 1, "max_iter": 9, "loss": null, "epoch": 2}') == Progress(1, 9)
    assert run_folder.read_progress(None) is None


def test_a_line_of_metrics_that_is_not_whole_is_left_out() -> None:
    train, test = {"phase": "train", "iteration": 1}, {"phase": "test", "iteration": 1, "outputs": {"a": [1, None]}}
    odd = ['{"phase": "tr', "[1]", '{"phase":"test"}', '{"phase":"test","iteration":1,"outputs":[1]}',
           '{"phase":"eval"}', '{"phase":"train","iteration":NaN}', "[" * 100_000, "\x00"]  # fmt: skip
    lines = [json.dumps(train), *odd, json.dumps(test), json.dumps(train)[:-1]]
    assert run_folder.read_metrics("\n".join(lines).encode()) == [train, test]
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


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"[]", "[] is not an object"),
        (b'{"status": 3', "is not valid JSON: line 1, column 13: Expecting ',' delimiter"),
        (b'{"a":' + b"[" * 200_000, "is nested too deep"),
        (b"\xff{}", "is not valid JSON: 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"),
        (
            b'{"status": 1, "reason": "%s"}' % (b"x" * 2**20),
            "holds 1.0 MiB, and such a record has no more than 1.0 MiB",
        ),
        (b'{"time": 1}', "status is missing"),
        (b'{"status": "0"}', "status: '0' is not a whole number of -2147483648 or more, 2147483647 at most"),
        (b'{"status": true}', "status: True is not a whole number"),
        (b'{"status": 1e3}', "status: 1000.0 is not a whole number"),
        (b'{"status": %s}' % (b"9" * 30), "status: 999999999999999999999999999999 is not a whole number"),
        (b'{"status": %s}' % (b"9" * 5000), "is not valid JSON: Exceeds the limit"),
        (b'{"status": 1, "time": NaN}', "is not valid JSON, which has no NaN"),
        (b'{"status": 1, "time": [1]}', "time: [1] is not a finite number"),
        (b'{"status": 1, "time": 1e999}', "time: inf is not a finite number"),
        (b'{"status": 1, "time": %s}' % (b"9" * 400), "is not a finite number"),
        (b'{"status": 1, "time": 1e300}', "time: 1e+300 is not a number of seconds"),
        (b'{"status": 1, "host": 5}', "host: 5 is not text"),
        (b'{"status": 1, "reason": "\\u001b[31m", "host": ["\\u001b"]}', r"host: ['\x1b'] is not text"),
    ],
)
def test_an_exit_record_that_is_none_has_a_reason(data: bytes, why: str) -> None:
    with pytest.raises(Malformed) as caught:
        run_folder.read_exit(data)
    assert str(caught.value).startswith(why) or why in str(caught.value)
    assert len(str(caught.value)) < 300


def test_what_an_exit_record_says_to_people_can_be_written_down() -> None:
    read = run_folder.read_exit(json.dumps({"status": 1, "reason": "\ud800" + "x" * 5000, "host": "\0"}).encode())
    assert read is not None
    assert (read.reason[:8], len(read.reason), read.host) == (r"\ud800xx", 1000, r"\x00")


@pytest.mark.parametrize(
    "changed",
    [
        {"iteration": "1"}, {"iteration": -1}, {"max_iter": None}, {"loss": "x"}, {"loss": [1]}, {"loss": True},
        {"seconds_left": "x"}, {"seconds_left": 1e308}, {"time": {}}, {"outputs": [1]}, {"outputs": {"a": "b"}},
        {"outputs": {"a\0": 1}}, {"images_per_second": 10**400},
    ],
    ids=str,
)  # fmt: skip
def test_progress_that_is_none_has_a_reason(changed: dict) -> None:
    with pytest.raises(Malformed, match=next(iter(changed))):
        run_folder.read_progress(json.dumps({"iteration": 1, "max_iter": 9, **changed}).encode())


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"resources": {"nodes": 2, "select": {"x": "1\nid > PWNED\n#"}}}, "resources: the value of|select"),
        ({"resources": {"nodes": 2, "queue": "q\n#PBS -q r"}}, "queue: .* is not one word"),
        ({"resources": {"nodes": 2, "project": "$(id)"}}, "project: .* is not one word"),
        ({"resources": {"nodes": True}}, "nodes: True is not a whole number"),
        ({"resources": {"nodes": "2"}}, "nodes: '2' is not a whole number"),
        ({"resources": {"nodes": 2, "walltime": 0}}, "walltime: 0 is not"),
        ({"resources": {"nodes": 2, "mem": -1}}, "mem: -1 is not"),
        ({"resources": []}, "resources: .* is not an object"),
        ({"name": "../../evil"}, "name: .* is not a job's name"),
        ({"name": "a\n#"}, "name"),
        ({"name": "x" * 300}, "name"),
        ({"engine": "\x1b"}, "engine: .* is not one of: own, module"),
        ({"links": 0}, "links"),
        ({"links": 1.0}, "links"),
        ({"after": {"id": "1; id", "name": "n"}}, "after: id"),
        ({"after": "1"}, "after"),
        ({"set": {"base_lr": 0.1}}, "set: .* is not text"),
        ({"set": [["a", "b"]]}, "set"),
        ({"points": {"a": "b"}}, "points: .* is not a list"),
        ({"points": [{"a": 1}]}, "points: item 1"),
        *(
            ({"definitions": ["solver.prototxt", name]}, "definitions: item 2: .* is not")
            for name in (
                "../net.prototxt", "/etc/passwd", "a/../../b", "points/../x", "points/1/../../x", "points/x/net",
                "", ".", "..", "job.pbs", "job.json", "job.id", "exit.json", "snapshots", "points/1/exit.json", "a/b",
                "points/1/points/2/x", "snapshots/a.py", "points/a.py", "a/../b.py", "/a/b.py",
                "points/1/snapshots/a.py",
                "net\0", ".hpcbrew", "//x",
            )
        ),
    ],
    ids=ascii,
)  # fmt: skip
def test_a_description_that_would_do_more_than_describe_is_refused(record: JobRecord, changed: dict, why: str) -> None:
    Path(record.run_folder / "job.json").write_text(json.dumps({**DESCRIPTION, **changed}))
    with pytest.raises(TransportError, match=rf"job\.json: the description .* cannot be read: .*({why})"):
        run_folder.describe(record, Local())


def test_one_bad_record_is_a_fault_of_its_own() -> None:
    found = run_folder.read_records(b'{"status": "x"}', b'{"iteration": 1, "max_iter": 2}', b"1.local\n", b"\xff\n")
    assert (found.exit, found.progress, found.ids) == (None, Progress(1, 2), ("1.local",))
    assert found.fault.startswith("exit.json: status: 'x' is not a whole number")
    many = "".join(f"{n}.local\n" for n in range(10_001)).encode()
    large = base.too_large(2**30)
    assert run_folder.read_records(large, None, base.NO_FILE).fault == (
        "exit.json holds 1.0 GiB, but such a record has no more than 1.0 MiB; job.id is not a regular file"
    )
    assert run_folder.read_records(None, b"[", many).fault == (
        "progress.json is not valid JSON: line 1, column 2: Expecting value; "
        "job.id holds 10001 ids, but no job has more than 10000"
    )


@pytest.mark.parametrize(
    "name",
    ["n\n_iter_9", "n_iter_" + "9" * 5000, "../n_iter_9", "a/n_iter_9", "\x1b_iter_9", "\udcff_iter_9", "n_iter_٣"],
)
def test_a_snapshot_whose_name_is_none_is_not_taken(name: str) -> None:
    assert run_folder.newest_state({f"{name}.solverstate": 5, f"{name}.caffemodel": 5}) is None
    assert run_folder.newest_model([f"{name}.caffemodel", "n_iter_1.caffemodel"]) == "n_iter_1.caffemodel"
