import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from hpcbrew.clusters import profiles
from hpcbrew.clusters.profiles import Cluster
from hpcbrew.errors import ProfileError, RequestError
from hpcbrew.job import JobPlan, JobRequest, new_token
from hpcbrew.plan.build import plan_job
from hpcbrew.plan.hardware import Machine
from hpcbrew.track import run_folder


def plan(model: Path, name: str = "iitd", *, request: dict | None = None, **changes: object) -> JobPlan:
    profile = Cluster.model_validate({**profiles.values(name), "name": name, **changes})
    asked = replace(JobRequest(model / "solver.prototxt", project="ee"), **(request or {}))
    return plan_job(asked, profile, Machine(2, 1), new_token())


def file(made: JobPlan, name: str) -> str:
    (found,) = [u for u in made.definitions if u.target.name == name]
    assert found.content is not None
    return found.content.decode()


def test_data_lie_by_their_digest_and_are_named_from_the_run_folder(model: Path) -> None:
    made = plan(model)
    (data,) = made.data
    assert data.target.parts[0] == "data"
    assert data.target.parts[2:] == ("files", "data.mdb")
    assert f'source: "../../{data.target.parent}"' in file(made, "net.prototxt")


def test_data_that_are_to_be_on_the_cluster_are_named_as_they_are_and_not_sent(model: Path) -> None:
    net = model / "net.prototxt"
    net.write_text(net.read_text().replace('"train_lmdb"', '"/site/train_lmdb"'))
    made = plan(model)
    assert (made.data, made.files_on_cluster) == ((), (("database", PurePosixPath("/site/train_lmdb/data.mdb")),))
    assert 'source: "/site/train_lmdb"' in file(made, "net.prototxt")


def test_the_same_data_have_the_same_place_for_every_job(model: Path) -> None:
    first, second = plan(model), plan(model)
    assert first.data == second.data
    assert first.run_folder != second.run_folder


def test_the_same_data_under_another_name_have_the_same_place_and_are_sent_once(model: Path) -> None:
    for name in ("a.caffemodel", "b.caffemodel"):
        (model / name).write_bytes(b"\n\x08the same")
    before = plan(model, request={"weights": (model / "a.caffemodel",)}).data
    both = plan(model, request={"weights": (model / "a.caffemodel", model / "b.caffemodel")}).data
    assert [upload.target for upload in both] == [upload.target for upload in before]
    (model / "train_lmdb").rename(model / "renamed")
    net = model / "net.prototxt"
    net.write_text(net.read_text().replace("train_lmdb", "renamed"))
    after = plan(model, request={"weights": (model / "b.caffemodel",)}).data
    assert [upload.target for upload in after] == [upload.target for upload in before]


def test_a_net_that_the_gpu_does_not_hold_is_told_of(model: Path) -> None:
    kinds = {"small": {"memory": "1k"}, "large": {"memory": "1G"}}
    net = model / "net.prototxt"
    net.write_text(net.read_text().replace("batch_size: 2 ", "batch_size: 200 "))
    small, large = (
        plan(model, request={"gpus_per_node": 1, "gpu_type": kind}, gpu_types=kinds, gpu_type=None)
        for kind in ("small", "large")
    )
    assert small.memory == large.memory > 0
    assert small.snapshots > 0
    assert [words for words in small.warnings if "--gpu-type large" in words]
    assert not [words for words in large.warnings if "memory" in words]


def test_data_of_a_job_on_this_machine_stay_where_they_are(model: Path) -> None:
    made = plan(model, "local")
    assert made.data == ()
    assert f'source: "{model}/train_lmdb"' in file(made, "net.prototxt")


@pytest.mark.parametrize(
    ("gpus", "flag"), [(0, "solver.prototxt\n"), (1, "solver.prototxt -gpu 0\n"), (2, "solver.prototxt -gpu 0,1\n")]
)
def test_the_engine_is_given_the_gpus_that_were_asked_for(model: Path, gpus: int, flag: str) -> None:
    assert plan(model, request={"gpus_per_node": gpus}).script.endswith(f"caffe train -solver {flag}")


def test_weights_and_state_are_named_on_the_cluster(model: Path) -> None:
    for name in ("a.caffemodel", "b.caffemodel", "t_iter_2.solverstate", "t_iter_2.caffemodel"):
        (model / name).write_bytes(bytes([10, len(name)]) + name.encode())
    weights = (model / "a.caffemodel", model / "b.caffemodel")
    words = plan(model, request={"weights": weights}).script.split()
    assert [PurePosixPath(w).name for w in words[-1].split(",")] == ["file.caffemodel", "file.caffemodel"]
    assert words[-1].startswith("../../data/")
    made = plan(model, request={"resume": model / "t_iter_2.solverstate"})
    assert made.script.split()[-2] == "-snapshot"
    shipped = {upload.target.name: upload.target.parent for upload in made.data}
    assert shipped["t_iter_2.solverstate"] == shipped["t_iter_2.caffemodel"]


def test_modules_are_loaded_and_looked_at(model: Path) -> None:
    script = plan(model, modules=[{"load": "apps/anaconda/3", "check": "python3"}]).script
    assert "module load apps/anaconda/3 || stop" in script
    assert "command -v python3 >/dev/null || stop" in script


def test_further_folders_of_modules_come_before_the_modules(model: Path) -> None:
    own = {"module_use": ["/soft/modulefiles", "~/modules/$USER"], "modules": [{"load": "conda"}]}
    lines = plan(model, **own).script.split("\n")
    used = [line.partition(" ||")[0] for line in lines if line.startswith("module ")]
    assert used == ['module use "/soft/modulefiles"', 'module use "$HOME/modules/$USER"', "module load conda"]


def test_nothing_of_a_profile_is_run_by_the_shell(model: Path) -> None:
    script = plan(model, environment={"NOTE": "it's $(reboot) `x`"}).script
    assert "export NOTE='it'\"'\"'s $(reboot) `x`'\n" in script


@pytest.mark.parametrize("name", ["two words", "1st", ".hidden", "a\nb", "x" * 231, ""])
def test_a_name_that_pbs_would_refuse_is_refused_first(model: Path, name: str) -> None:
    with pytest.raises(RequestError, match="a job name must start with a letter"):
        plan(model, request={"name": name})


@pytest.mark.parametrize(("net", "name"), [("My Net!", "my-net"), ("7up", "job-7up"), ("", "model")])
def test_a_job_is_called_as_its_net_or_else_as_its_folder(model: Path, net: str, name: str) -> None:
    text = (model / "net.prototxt").read_text().replace("Tiny", net)
    (model / "net.prototxt").write_text(text)
    assert plan(model).name == name


def test_a_template_of_the_users_own_changes_one_block(model: Path, home: Path) -> None:
    templates = home / "config" / "hpcbrew" / "templates" / "pbs"
    templates.mkdir(parents=True)
    text = '{% extends "shipped/job.pbs.j2" %}{% block modules %}source /opt/site.sh\n{% endblock %}'
    (templates / "job.pbs.j2").write_text(text)
    script = plan(model).script
    assert "source /opt/site.sh\n" in script
    assert script.startswith("#!/bin/bash -l\n#PBS -N tiny\n")


def test_a_template_with_a_fault_is_named(model: Path, home: Path) -> None:
    templates = home / "config" / "hpcbrew" / "templates" / "pbs"
    templates.mkdir(parents=True)
    (templates / "job.pbs.j2").write_text("#!/bin/bash\n{{ nonsense }}\n")
    with pytest.raises(ProfileError, match=r"job\.pbs\.j2.*'nonsense' is undefined"):
        plan(model)


def test_a_list_that_leaves_its_folder_is_not_shipped(model: Path) -> None:
    (model / "a.jpg").write_bytes(b"P5 2 2 255\n0000")
    (model / "sub").mkdir()
    (model / "list.txt").write_text("../a.jpg 0\n")
    data = f'image_data_param {{ source: "list.txt" root_folder: "{model}/sub/" batch_size: 1 }}'
    (model / "net.prototxt").write_text(f'layer {{ name: "in" type: "ImageData" top: "data" top: "label" {data} }}')
    with pytest.raises(RequestError, match="outside its folder"):
        plan(model)


def test_a_proxy_is_known_to_the_job(model: Path) -> None:
    script = plan(model, proxy="http://proxy62.example.org:3128").script
    assert "export https_proxy=http://proxy62.example.org:3128\n" in script


def test_the_site_s_own_caffe_is_loaded_checked_and_run(model: Path) -> None:
    script = plan(model, request={"engine": "module", "gpus_per_node": 1}).script
    assert "module load apps/Caffe || stop" in script
    assert '"$CAFFE_ROOT"/bin/caffe train -solver solver.prototxt -gpu 0\n' in script
    assert "engine/bin/caffe" not in script


def test_a_site_without_a_caffe_is_named(model: Path) -> None:
    with pytest.raises(RequestError, match="the profile of openpbs names no Caffe module"):
        plan(model, "openpbs", request={"engine": "module"})


CAFFE_SAYS = """\
I1122 19:31:51.123456 77 solver.cpp:330] Iteration 0, Testing net (#0)
I1122 19:31:51.223456 77 solver.cpp:397]     Test net output #0: accuracy = 0.125
I1122 19:31:51.223456 77 solver.cpp:397]     Test net output #1: prob = 0.5
I1122 19:31:51.223456 77 solver.cpp:397]     Test net output #2: prob = 0.25
I1122 19:31:52.123456 77 solver.cpp:218] Iteration 0 (0 iter/s, 0.1s/1 iters), loss = 2.5
I1122 19:31:52.123456 77 solver.cpp:237]     Train net output #0: loss = nan (* 1 = nan loss)
I1122 19:31:52.123456 77 sgd_solver.cpp:105] Iteration 0, lr = 0.01
I1122 19:31:53.123456 77 solver.cpp:218] Iteration 2 (2 iter/s, 1s/2 iters), loss = 1e-05
I1122 19:31:53.123456 77 solver.cpp:237]     Train net output #0: loss = 1e-05 (* 1 = 1e-05 loss)
I1122 19:31:53.123456 77 sgd_solver.cpp:105] Iteration 2, lr = 0.001
I1122 19:31:54.123456 77 solver.cpp:330] Iteration 3, Testing net (#0)
I1122 19:31:54.223456 77 solver.cpp:397]     Test net output #0: accuracy = 1
"""


def test_the_log_of_the_site_s_caffe_becomes_records(model: Path, tmp_path: Path) -> None:
    root = tmp_path / "caffe"
    (root / "bin").mkdir(parents=True)
    (root / "bin" / "caffe").write_text(f"#!/bin/sh\ncat <<'E'\n{CAFFE_SAYS}E\nexit 3\n")
    (root / "bin" / "caffe").chmod(0o755)
    run = tmp_path / "run"
    run.mkdir()
    script = "module() { true; }\n" + plan(model, request={"engine": "module"}).script
    environment = os.environ | {"PBS_O_WORKDIR": str(run), "PBS_JOBID": "1.x", "CAFFE_ROOT": str(root)}
    assert subprocess.run(["bash", "-c", script], env=environment, check=False).returncode == 3
    going = run_folder.read_progress((run / "progress.json").read_bytes())
    assert going is not None
    assert (going.iteration, going.loss, going.lr, going.seconds_left) == (3, 1e-05, 0.001, 0)
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [(line["phase"], line["iteration"], line["outputs"]) for line in lines] == [
        ("test", 0, {"accuracy": 0.125, "prob": [0.5, 0.25]}),
        ("train", 0, {"loss": None}),
        ("train", 2, {"loss": 1e-05}),
        ("test", 3, {"accuracy": 1}),
    ]
    assert run_folder.read_exit((run / "exit.json").read_bytes()).status == 3  # type: ignore[union-attr]


def test_a_solver_without_an_end_is_no_job(model: Path) -> None:
    solver = model / "solver.prototxt"
    solver.write_text(solver.read_text().replace("max_iter: 3", ""))
    with pytest.raises(RequestError, match=r"solver\.prototxt: max_iter is missing.*--set max_iter=1000"):
        plan(model)
