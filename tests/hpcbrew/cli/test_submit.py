import hashlib
import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from engine.proto import caffe_pb2 as pb
from engine.units import short_size
from hpcbrew import paths
from hpcbrew.cli import group, sending
from hpcbrew.clusters import profiles
from hpcbrew.errors import RequestError
from hpcbrew.job import JobRecord, JobState, JobStatus
from hpcbrew.track.ledger import Ledger


def left_behind(home: Path) -> list[str]:
    """Run folders, and jobs in the ledger or the queue."""
    data = home / "data" / "hpcbrew"
    runs = [p.name for p in (data / "runs").glob("*")] if data.is_dir() else []
    return runs + [p.name for p in data.glob("queue/scripts/*")]


def test_a_solver_is_trained_through_the_queue(hpcbrew, model: Path) -> None:
    done = hpcbrew("submit", model / "solver.prototxt", "--cluster", "local", "--follow", "--set", "max_iter=4")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("1.local  tiny on local, in ")
    assert any(line.startswith("Test at iteration 4: ") for line in lines)
    assert lines[-2] == "Done"
    trained = Path(lines[-1].removeprefix("Model: "))
    assert pb.NetParameter.FromString(trained.read_bytes()).layer[1].blobs
    (shown,) = json.loads(hpcbrew("status", "--json").stdout)
    assert {"id": "1.local", "name": "tiny", "cluster": "local", "state": "done", "reason": ""}.items() <= shown.items()
    assert Path(shown["run_folder"]) == trained.parents[1]
    assert "Optimization Done." in hpcbrew("logs", "tiny").stdout


def test_a_job_that_fails_ends_follow_with_its_status(hpcbrew, model: Path) -> None:
    """More bins than there are places: only the engine knows of SPP."""
    net = (model / "net.prototxt").read_text()
    net = net.replace("InnerProduct", "SPP").replace(
        "inner_product_param { num_output: 2 }", "spp_param { pyramid_height: 9 }"
    )
    (model / "net.prototxt").write_text(net)
    done = hpcbrew("submit", model / "solver.prototxt", "--cluster", "local", "--follow")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Failed: exit status 2: the engine refused it" in done.stdout
    assert "Its log: hpcbrew logs 1.local" in done.stdout
    assert 'layer "ip" (SPP)' in hpcbrew("logs", "1").stdout


def test_without_the_engine_this_machine_takes_no_job(model: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "find_spec", lambda name: None)
    with pytest.raises(RequestError, match=r"which has no JAX: pip install 'hpcbrew\[engine\]'"):
        group.main(["submit", str(model / "solver.prototxt"), "--cluster", "local"], standalone_mode=False)
    assert not left_behind(home)


def test_a_job_that_waits_is_cancelled(hpcbrew, model: Path) -> None:
    hpcbrew("submit", model / "solver.prototxt", "--cluster", "local", "--set", "max_iter=1000000", "--name", "long")
    hpcbrew("submit", model / "solver.prototxt", "--cluster", "local", "--name", "next")
    assert hpcbrew("cancel", "next").stdout == "next (2.local): cancelled\n"
    assert json.loads(hpcbrew("status", "next", "--json").stdout)[0]["state"] == "cancelled"
    assert hpcbrew("cancel", "next").stdout == "next (2.local): has ended already: cancelled\n"
    hpcbrew("cancel", "long")
    followed = hpcbrew("logs", "-f", "long")
    assert followed.returncode == 143
    assert json.loads(hpcbrew("status", "long", "--json").stdout)[0]["state"] == "cancelled"


def test_ctrl_c_while_following_leaves_the_job_alone(model: Path) -> None:
    command = [sys.executable, "-P", "-m", "hpcbrew", "submit", str(model / "solver.prototxt")]
    options = ["--cluster", "local", "--follow", "--set", "max_iter=1000000"]
    following = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert following.stdout is not None
    assert following.stdout.readline().startswith("1.local")
    following.send_signal(signal.SIGINT)
    _, err = following.communicate(timeout=60)
    assert (following.returncode, "Detached. The job goes on" in err) == (130, True)
    status = [sys.executable, "-P", "-m", "hpcbrew", "status", "--json"]
    (shown,) = json.loads(subprocess.run(status, capture_output=True, text=True, check=True).stdout)
    assert shown["state"] in ("queued", "running")
    subprocess.run([sys.executable, "-P", "-m", "hpcbrew", "cancel", "1.local"], check=True)


def test_a_dry_run_shows_script_files_and_commands(hpcbrew, model: Path, home: Path) -> None:
    done = hpcbrew(
        "submit", model / "solver.prototxt", "--nodes", 1, "--gpu", "--dry-run", "--cluster", "iitd", "--json"
    )
    plan = json.loads(done.stdout)
    assert plan["script"].startswith(
        "#!/bin/bash -l\n#PBS -N tiny\n#PBS -l select=1:ncpus=4:ngpus=1:mem=24gb:centos=skylake\n"
    )
    (data,) = [file for file in plan["files"] if file["source"]]
    database = model / "train_lmdb" / "data.mdb"
    assert data["sha256"] == hashlib.sha256(database.read_bytes()).hexdigest()
    assert data["size"] == database.stat().st_size
    assert plan["commands"][-1].startswith('cd "$HOME/scratch"/runs/tiny-')
    assert "id=$(qsub job.pbs)" in plan["commands"][-1]
    assert "--project" in plan["lacks"]
    assert left_behind(home) == []


def test_a_dry_run_as_text_ends_with_what_is_lacking(hpcbrew, model: Path) -> None:
    done = hpcbrew("submit", model / "solver.prototxt", "--gpu", "--dry-run", "--full", "--cluster", "iitd")
    assert done.returncode == 0
    assert "#PBS -q standard" in done.stdout
    assert f"/files/data.mdb  ← {model / 'train_lmdb' / 'data.mdb'}\n" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("This cannot be submitted yet. iitd: a job needs a project")


@pytest.mark.parametrize(
    ("walltime", "cost"),
    [("1s", "at most 0.01 core"), ("16800h", "at most 16,800 core")],
)
def test_what_a_job_costs_is_a_number_that_can_be_read(hpcbrew, model: Path, walltime: str, cost: str) -> None:
    asked = ["--cpus", "1", "--walltime", walltime, "--cluster", "local", "--dry-run"]
    done = hpcbrew("submit", model / "solver.prototxt", *asked)
    assert f"  cost        {cost} hours\n" in done.stdout


def test_a_dry_run_begins_with_what_the_job_is_and_costs(hpcbrew, model: Path) -> None:
    asked = ["--gpu", "--walltime", "90m", "--mem", "8G", "--project", "ee", "--cluster", "iitd", "--dry-run"]
    lines = hpcbrew("submit", model / "solver.prototxt", *asked).stdout.splitlines()
    size = (model / "train_lmdb" / "data.mdb").stat().st_size
    assert lines[:6] == [
        "tiny on iitd: 3 iterations",
        "  resources   1 node with 4 cores, 1 GPU, 8.0 GiB of memory, centos=skylake",
        "  limits      walltime 01:30:00, queue standard, project ee",
        "  cost        at most 1.5 GPU hours",
        "  memory      an iteration takes about 208 B or more",
        "  snapshots   they take about 80 B on scratch",
    ]
    assert re.fullmatch(rf"  files       made here: 4 files, .*; database: 1 file, {short_size(size)}\. .*", lines[6])
    assert lines[7].startswith("  run folder  ~/scratch/runs/tiny-")
    assert not any("#PBS" in line for line in lines)


@pytest.mark.parametrize("asked", [["--mem", "24"], ["--walltime", "90"], ["--walltime", "1:30"]])
def test_a_number_without_a_unit_is_refused(hpcbrew, model: Path, asked: list[str]) -> None:
    done = hpcbrew("submit", model / "solver.prototxt", *asked, "--cluster", "iitd", "--dry-run")
    assert (done.returncode, done.stdout) == (2, "")
    assert "Write" in done.stderr


@pytest.mark.parametrize("command", [["submit"], ["sweep", "--set", "base_lr=1,2"]], ids=["submit", "sweep"])
def test_a_dry_run_after_another_job_asks_nobody(hpcbrew, model: Path, command: list[str]) -> None:
    """No host is called so: to ask would fail."""
    address = replace(profiles.load("iitd").address, host="nobody.invalid")
    ledger, waiting = Ledger(), JobStatus(JobState.QUEUED)
    ledger.intend(JobRecord("ab12", "first", address, "s", 0.0, PurePosixPath("/r"), waiting, "12.pbs01"))
    before = ledger.path.read_bytes()
    profile = paths.config_home() / "clusters" / "iitd.yaml"
    profile.parent.mkdir(parents=True)
    profile.write_text("extends: iitd\nhost: nobody.invalid\n")
    options = ["--project", "ee", "--cluster", "iitd", "--after", "first", "--dry-run"]
    done = hpcbrew(*command, model / "solver.prototxt", *options, "--full")
    assert (done.returncode, done.stderr) == (0, "")
    assert "#PBS -W depend=afterok:12.pbs01\n" in done.stdout
    assert "Not known: --after first: iitd was not asked." in done.stdout.splitlines()[-1]
    (unknown,) = json.loads(hpcbrew(*command, model / "solver.prototxt", *options, "--json").stdout)["unknown"]
    assert "was last known to be queued" in unknown
    assert ledger.path.read_bytes() == before


def test_the_script_is_bash(hpcbrew, model: Path) -> None:
    for cluster in ("iitd", "gadi", "polaris", "local"):
        plan = json.loads(
            hpcbrew("submit", model / "solver.prototxt", "--dry-run", "--json", "--cluster", cluster).stdout
        )
        checked = subprocess.run(["bash", "-n"], input=plan["script"], text=True, capture_output=True, check=False)
        assert (checked.returncode, checked.stderr) == (0, "")


def write(model: Path, name: str, text: str) -> None:
    (model / name).write_text(text)


BAD = {
    "no solver": (lambda m: (m / "solver.prototxt").unlink(), [], "no such file"),
    "misspelt field": (lambda m: write(m, "solver.prototxt", 'nett: "net.prototxt"'), [], "nett"),
    "unclosed brace": (lambda m: write(m, "net.prototxt", 'layer { name: "a"'), [], "net.prototxt"),
    "wrong enum": (lambda m: write(m, "solver.prototxt", 'net: "net.prototxt" solver_mode: TPU'), [], "TPU"),
    "unknown layer type": (
        lambda m: write(m, "net.prototxt", 'layer { name: "a" type: "Convolutoin" top: "a" }'),
        [],
        "Convolutoin",
    ),
    "no net": (lambda m: (m / "net.prototxt").unlink(), [], "net.prototxt"),
    "no database": (lambda m: (m / "train_lmdb" / "data.mdb").unlink(), [], "contains no file data.mdb"),
    "unknown cluster": (None, ["--cluster", "iitdd"], "Did you mean 'iitd'?"),
    "bad walltime": (None, ["--walltime", "soon"], "is not a valid duration"),
    "bad override": (None, ["--set", "base_rl=1"], "Did you mean 'base_lr'?"),
    "bad name": (None, ["--name", "two words"], "a job name must start with a letter"),
    "no weights": (None, ["--weights", "w.caffemodel"], "no weights at w.caffemodel"),
    "no state": (None, ["--resume", "s.solverstate"], "no solver state at s.solverstate"),
    "too many nodes": (None, ["--nodes", "2"], "allows 1 node, 2 were requested"),
    "no project": (None, ["--cluster", "iitd"], "--project"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named_and_leaves_nothing_behind(hpcbrew, model: Path, home: Path, case: str) -> None:
    damage, options, said = BAD[case]
    if damage:
        damage(model)
    done = hpcbrew("submit", model / "solver.prototxt", "--cluster", "local", *options)
    assert done.returncode == 2, done.stdout + done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert left_behind(home) == []
    assert json.loads(hpcbrew("status", "--json").stdout) == []


@pytest.mark.skipif(bool(list(Path("/dev").glob("nvidia[0-9]*"))), reason="this machine has a GPU")
def test_a_gpu_on_a_machine_without_one_is_refused_before_a_job_is_made(hpcbrew, model: Path, home: Path) -> None:
    done = hpcbrew("submit", model / "solver.prototxt", "--cluster", "local", "--gpu")
    assert (done.returncode, "this machine has none" in done.stderr) == (2, True)
    assert left_behind(home) == []


def test_a_data_folder_that_cannot_be_made(hpcbrew, model: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = hpcbrew(
        "submit",
        model / "solver.prototxt",
        "--cluster",
        "local",
        env={**os.environ, "XDG_DATA_HOME": f"{tmp_path}/file"},
    )
    assert (done.returncode, str(tmp_path / "file") in done.stderr) == (2, True)


def test_a_run_folder_that_cannot_be_made_is_named(hpcbrew, model: Path, home: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    profile = home / "config" / "hpcbrew" / "clusters" / "local.yaml"
    profile.parent.mkdir(parents=True)
    profile.write_text(f"extends: local\nscratch: {tmp_path}/file/runs\n")
    done = hpcbrew("submit", model / "solver.prototxt", "--cluster", "local")
    assert (done.returncode, "cannot make this folder" in done.stderr) == (2, True)
    assert json.loads(hpcbrew("status", "--json").stdout) == []


def test_two_submits_at_once_are_two_jobs(model: Path) -> None:
    command = [sys.executable, "-P", "-m", "hpcbrew", "submit", str(model / "solver.prototxt"), "--cluster", "local"]
    started = [subprocess.Popen([*command, "--json"], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    sent = [json.loads(process.communicate()[0]) for process in started]
    assert {job["id"] for job in sent} == {"1.local", "2.local"}
    assert len({job["run_folder"] for job in sent}) == 2
    for job in sent:
        subprocess.run([sys.executable, "-P", "-m", "hpcbrew", "cancel", job["id"]], check=True)
