import json
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from engine.proto import caffe_pb2 as pb
from engine.proto import text
from hpcbrew.clusters import profiles
from hpcbrew.errors import RequestError, TransportError
from hpcbrew.job import JobPlan, JobRecord, JobRequest, JobState, JobStatus, new_token
from hpcbrew.plan import sweep
from hpcbrew.plan.build import plan_job
from hpcbrew.plan.hardware import Machine
from hpcbrew.submit import resume
from hpcbrew.transports.local import Local

IITD = profiles.load("iitd")


@pytest.fixture
def before(tmp_path: Path, model: Path) -> JobRecord:
    """A job's run folder as it is on a cluster, with three snapshots, of which the last is not whole."""
    asked = JobRequest(model / "solver.prototxt", gpus_per_node=1, gpu_type="V100", project="ee", walltime=7200)
    made = plan_job(asked, IITD, Machine(1, 0), new_token())
    folder = PurePosixPath(tmp_path) / made.run_folder
    files = {upload.target.relative_to(made.run_folder): upload.content or b"" for upload in made.definitions}
    names = ("t_iter_1.solverstate", "t_iter_1.caffemodel", "t_iter_2.solverstate", "t_iter_2.caffemodel",
             "t_iter_10.solverstate")  # fmt: skip
    Local().make_folder(folder, files | {PurePosixPath("snapshots", name): b"x" for name in names})
    status = JobStatus(JobState.OUT_OF_WALLTIME)
    return JobRecord(made.token, made.name, made.address, "s.prototxt", 0.0, folder, status, "1.pbs")


def resumed(before: JobRecord, **request: object) -> JobPlan:
    asked = JobRequest(Path("s.prototxt"), **request)  # type: ignore[arg-type]
    return resume.plan(resume.read(before, Local()), asked, IITD, Machine(1, 0), new_token())


def test_a_job_goes_on_from_the_last_whole_snapshot(before: JobRecord) -> None:
    made = resumed(before)
    state = f"../{before.run_folder.name}/snapshots/t_iter_2.solverstate"
    assert made.script.splitlines()[-1].endswith(f"caffe train -solver solver.prototxt -gpu 0 -snapshot {state}")
    assert made.token != before.token
    assert made.run_folder.parent.name == before.run_folder.parent.name


def test_definitions_and_resources_are_those_of_before(before: JobRecord) -> None:
    made = resumed(before)
    for upload in made.definitions:
        if upload.target.suffix == ".prototxt":
            assert upload.content == Path(before.run_folder / upload.target.name).read_bytes()
    assert made.data == ()
    first = Path(before.run_folder / "job.pbs").read_text()
    assert [line for line in made.script.splitlines() if line.startswith("#PBS")] == [
        line for line in first.splitlines() if line.startswith("#PBS")
    ]


def test_what_is_asked_for_anew_wins(before: JobRecord) -> None:
    made = resumed(before, walltime=3600, overrides=(("max_iter", "50"),))
    assert "#PBS -l walltime=01:00:00" in made.script
    (solver,) = [u.content for u in made.definitions if u.target.name == "solver.prototxt"]
    assert text.parse((solver or b"").decode(), pb.SolverParameter).max_iter == 50
    (described,) = [u.content for u in made.definitions if u.target.name == "job.json"]
    assert json.loads(described or b"")["set"] == {"max_iter": "50"}


def test_more_memory_and_cores_can_be_requested(before: JobRecord) -> None:
    selects = [
        line
        for made in (resumed(before), resumed(before, mem=48 << 30), resumed(before, cpus=2))
        for line in made.script.splitlines()
        if line.startswith("#PBS -l select=")
    ]
    assert selects == [
        "#PBS -l select=1:ncpus=4:ngpus=1:mem=24gb:centos=skylake",
        "#PBS -l select=1:ncpus=4:ngpus=1:mem=48gb:centos=skylake",
        "#PBS -l select=1:ncpus=2:ngpus=1:mem=24gb:centos=skylake",
    ]


def test_what_is_done_is_not_resumed(before: JobRecord) -> None:
    Path(before.run_folder / "snapshots" / "t_iter_10.caffemodel").write_bytes(b"x")
    with pytest.raises(RequestError, match=r"all of its 3 iterations are done.*--set max_iter=6"):
        resumed(before)
    assert resumed(before, overrides=(("max_iter", "11"),)).script.rstrip().endswith("t_iter_10.solverstate")


def test_without_a_snapshot_there_is_nothing_to_go_on_from(before: JobRecord) -> None:
    for path in Path(before.run_folder / "snapshots").iterdir():
        path.unlink()
    with pytest.raises(RequestError, match="left no snapshot"):
        resumed(before)


@pytest.mark.parametrize("name", ["job.json", "net.prototxt"])
def test_a_run_folder_that_is_not_whole_is_named(before: JobRecord, name: str) -> None:
    Path(before.run_folder / name).unlink()
    with pytest.raises(TransportError, match=name):
        resumed(before)


def test_one_job_of_a_sweep_goes_on_by_itself(tmp_path: Path, model: Path) -> None:
    asked = JobRequest(model / "solver.prototxt", project="ee")
    made = sweep.plan(asked, IITD, sweep.points(["base_lr=0.1,0.2", "max_iter=5,6"]), Machine(1, 0), new_token())
    folder = PurePosixPath(tmp_path) / made.run_folder
    files = {upload.target.relative_to(made.run_folder): upload.content or b"" for upload in made.definitions}
    left = [PurePosixPath("points/3/snapshots", f"t_iter_2.{kind}") for kind in ("solverstate", "caffemodel")]
    Local().make_folder(folder, files | dict.fromkeys(left, b"x"))
    whole = JobRecord(made.token, made.name, made.address, "s", 0.0, folder, JobStatus(JobState.FAILED), "1[].pbs")
    with pytest.raises(RequestError, match=r"resume continues a single job of it: hpcbrew resume 'tiny\[1\]'"):
        resumed(whole)
    third = replace(whole, token=f"{made.token}[3]", name="tiny[3]", id="1[3].pbs", run_folder=folder / "points" / "3")
    again_made = resumed(third)
    assert again_made.name == "tiny-3"
    assert f"-snapshot ../{folder.name}/points/3/snapshots/t_iter_2.solverstate\n" in again_made.script
    texts = {u.target.name: (u.content or b"").decode() for u in again_made.definitions}
    solver = text.parse(texts["solver.prototxt"], pb.SolverParameter)
    assert (round(solver.base_lr, 6), solver.max_iter) == (0.2, 5)
    assert f'source: "../../{made.data[0].target.parent}"' in texts["net.prototxt"]
    assert json.loads(texts["job.json"])["set"] == {"base_lr": "0.2", "max_iter": "5"}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("resources", {"select": {"x": "1\nid > pwned\n#"}}),
        ("resources", {"select": {"x\n#PBS -q other\n#": "1"}}),
        ("resources", {"walltime": "1\n#"}),
        ("definitions", ["../solver.prototxt"]),
        ("definitions", ["/etc/passwd"]),
        ("definitions", ["solver.prototxt", "job.pbs"]),
        ("definitions", []),
        ("name", "ok\n#/../../victim"),
    ],
    ids=str,
)
def test_what_a_description_says_is_never_run(before: JobRecord, key: str, value: object) -> None:
    path = Path(before.run_folder / "job.json")
    values = json.loads(path.read_text())
    values[key] = {**values[key], **value} if isinstance(value, dict) else value
    path.write_text(json.dumps(values))
    with pytest.raises(TransportError, match=r"job\.json"):
        resumed(before)


@pytest.mark.parametrize("field", ["cpus", "select"])
def test_resources_that_are_not_said_are_named(before: JobRecord, field: str) -> None:
    path = Path(before.run_folder / "job.json")
    values = json.loads(path.read_text())
    del values["resources"][field]
    path.write_text(json.dumps(values))
    with pytest.raises(TransportError, match=f"resources: missing {field}"):
        resumed(before)


@pytest.mark.parametrize("data", [b"\xff\xfe", b"max_iter: 3\0"])
def test_a_definition_that_is_no_text_is_named(before: JobRecord, data: bytes) -> None:
    Path(before.run_folder / "net.prototxt").write_bytes(data)
    with pytest.raises(TransportError, match=r"net\.prototxt: (is not valid text|contains NUL)"):
        resumed(before)


def test_a_job_is_called_as_the_ledger_has_it(before: JobRecord) -> None:
    path = Path(before.run_folder / "job.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), "name": "other", "points": [{}, {}]}))
    point = replace(before, token=f"{before.token}[3]", name="tiny[3]", run_folder=before.run_folder / "points" / "3")
    with pytest.raises(TransportError, match="lists no points/3/solver"):
        resumed(point)
    path.write_text(json.dumps({**json.loads(path.read_text()), "points": []}))
    assert resumed(before).name == "tiny"
