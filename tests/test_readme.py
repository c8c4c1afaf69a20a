"""Every command of README.md is run as it stands, from top to bottom, in a folder that has what it names.

The nets are small and the cluster is the stand-in for OpenPBS behind a real SSH server. What a command cannot be run
with in a test is said below, by line; a line that is added to the page is run without being listed anywhere. Those that
train are slow: pytest -m slow tests/test_readme.py.
"""

import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import cv2
import numpy as np
import pytest
from support import readme
from support.remote import serve

from engine.cli import caffe
from engine.tools import compute_image_mean, convert_imageset
from hpcbrew.cli import group
from hpcbrew.clusters import user_settings
from hpcbrew.track.ledger import Ledger

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "README.md").read_text("utf-8")

ELSEWHERE = {
    "scripts/demo": "tests/test_scripts.py",
    "scripts/test": "tests/test_scripts.py",
    "scripts/get_mnist": "tests/engine/tools/test_get_mnist.py",
    "hpcbrew setup iitd --project ee": "tests/hpcbrew/cli/test_setup.py",
    "source .venv/bin/activate": "tests/test_scripts.py",
    "caffe models get my-resnet": "tests/engine/cli/test_models.py",
    "caffe models check my-resnet": "tests/engine/cli/test_models.py",
}
"""What installs or fetches, with the tests that run it."""

MEANS = {
    "hpcbrew resume digits": "hpcbrew resume digits --set max_iter=20",
    "hpcbrew logs JOB --rank 1": "hpcbrew logs two --rank 1",
    "hpcbrew rm JOB": "hpcbrew rm two --yes",
    "hpcbrew clean --before 90d": "hpcbrew clean --before 90d --yes",
    "hpcbrew cluster add NAME --host HOST --scratch FOLDER": "hpcbrew cluster add own --host own --scratch '$HOME'",
    "hpcbrew data check": "hpcbrew data check train_lmdb",
    "caffe NAME": "caffe convert_imageset --help",
    "caffe train": "caffe train --help",
    "caffe train -solver solver.prototxt -gpu 0": "caffe train -solver solver.prototxt",
}
"""What stands for something, or wants a GPU, as it is run here."""

BEFORE = {
    "hpcbrew cancel lenet": "hpcbrew submit solver.prototxt --cluster local --name lenet --set max_iter=10000000",
    "hpcbrew new pictures": "rm train_val.prototxt",  # which would be taken for the one beside the solver
    "hpcbrew new others": "cp -r pictures others",
    "hpcbrew logs JOB --rank 1": "hpcbrew submit solver.prototxt --nodes 2 --name two --follow",
    "caffe train -solver solver.prototxt -snapshot lenet_iter_5000.solverstate": (
        "cp lenet_iter_5.solverstate lenet_iter_5000.solverstate; "
        "cp lenet_iter_10.caffemodel lenet_iter_1000.caffemodel"
    ),
    "caffe show lenet_iter_1000.caffemodel": (
        "caffe train -solver solver.prototxt; cp lenet_iter_10.caffemodel lenet_iter_1000.caffemodel"
    ),
    "caffe plot_log curves.png train.log": "caffe train -solver solver.prototxt 2>train.log",
}
"""What has gone before with somebody who types the line."""

LIGHT = ("Databases", "Installation")
"""The sections in which nothing is trained."""

NET = """
name: "LeNet"
layer { name: "mnist" type: "ImageData" top: "data" top: "label"
  image_data_param { source: "digits.txt" root_folder: "pictures/" batch_size: 4 new_height: 4 new_width: 4 } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 2 kernel_size: 2 weight_filler { type: "xavier" } } }
layer { name: "ip" type: "InnerProduct" bottom: "conv1" top: "ip"
  inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
layer { name: "accuracy" type: "Accuracy" bottom: "ip" bottom: "label" top: "accuracy" include { phase: TEST } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""
SOLVER = """
net: "train_val.prototxt" base_lr: 0.001 lr_policy: "fixed" max_iter: 10 display: 5 snapshot: 5 snapshot_prefix: "lenet"
test_iter: 1 test_interval: 5
"""
THERE = """
extends: openpbs
host: cluster
gpus_per_node: 2
account: {flag: -P}
"""


@pytest.fixture
def desk(tmp_path: Path, home: Path) -> Path:
    """The folder of somebody who reads the page: pictures of two classes, nets and solvers by the names of the page."""
    desk = tmp_path / "desk"
    names = [f"{kind}/{i}.jpg" for kind in ("cat", "dog") for i in range(8)]
    for i, name in enumerate(names):
        (desk / "pictures" / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(desk / "pictures" / name), np.full((20, 20, 3), i * 8, np.uint8))
    for place in (".", "my", "configs/models/lenet"):
        (desk / place).mkdir(parents=True, exist_ok=True)
        (desk / place / "train_val.prototxt").write_text(NET)
        (desk / place / "digits.txt").write_text("".join(f"{name} {'dog' in name:d}\n" for name in names))
        for solver in ("solver", "finetune", "solver_full"):
            (desk / place / f"{solver}.prototxt").write_text(SOLVER)
    return desk


def walk(section: str, desk: Path, **environment: str) -> None:
    """Types every line of a section."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    surroundings = {**os.environ, "PATH": path, **environment}
    for line in (command.line for command in readme.commands(PAGE) if command.section == section):
        if line in ELSEWHERE or line.startswith("pip"):
            continue
        typed = "; ".join(filter(None, [BEFORE.get(line), MEANS.get(line, line)]))
        done = subprocess.run(
            ["bash", "-ec", typed],
            cwd=desk,
            env=surroundings,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            timeout=120,
        )
        assert done.returncode == 0, f"{typed}\n{done.stdout}{done.stderr}"
        assert "Traceback" not in done.stderr


def ours(line: str) -> Iterator[tuple[click.Command, list[str]]]:
    """The command of click's that a line is, and what it is given."""
    program, *words = shlex.split(MEANS.get(line, line))
    tools = {"convert_imageset": convert_imageset.convert_imageset}
    tools["compute_image_mean"] = compute_image_mean.compute_image_mean
    command: click.Command | None = {"hpcbrew": group, "caffe": caffe, **tools}.get(program)
    while isinstance(command, click.Group) and words:
        command = command.get_command(click.Context(command), words.pop(0))
        assert command is not None, line
    if command is not None and not {"-h", "--help"} & set(words):
        yield command, words


@pytest.mark.parametrize("line", [command.line for command in readme.commands(PAGE)])
def test_a_command_of_the_page_is_one(line: str, home: Path) -> None:
    """With options and values that it takes."""
    user_settings.write({"cluster": "iitd"})
    for command, words in ours(line):
        with command.make_context(command.name, words):
            pass


def test_every_command_is_run_by_a_test_and_those_that_are_run_elsewhere_are_there() -> None:
    walked = {*LIGHT, *HEAVY}
    lines = readme.commands(PAGE)
    assert [c for c in lines if c.section not in walked and c.line not in ELSEWHERE] == []
    assert {*ELSEWHERE, *MEANS, *BEFORE} <= {command.line for command in lines}
    assert [test for test in ELSEWHERE.values() if not (ROOT / test).exists()] == []


def test_what_is_installed_is_what_the_project_offers() -> None:
    offered = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    lines = [command.line for command in readme.commands(PAGE) if command.line.startswith("pip")]
    asked = [match[1].split(",") for line in lines if (match := re.fullmatch(r"pip install '\.\[([\w,]+)\]'", line))]
    assert {extra for extras in asked for extra in extras} <= set(offered)
    assert len(asked) == len(lines) - 1
    assert "pip install ." in lines


def test_the_demo_is_the_command_that_the_page_shows() -> None:
    demo = (ROOT / "scripts" / "demo").read_text().replace("$lenet", "configs/models/lenet").replace('"', "")
    first = next(c.line for c in readme.commands(PAGE) if c.line.startswith("hpcbrew submit"))
    assert f"exec {first} $@" in demo


@pytest.mark.parametrize("section", LIGHT)
def test_where_nothing_is_trained(section: str, desk: Path) -> None:
    walk(section, desk)


def on_this_machine(section: str, desk: Path, tmp_path: Path) -> None:
    try:
        walk(section, desk)
        for program in readme.programs(PAGE, section):
            typed = [sys.executable, "-c", program]
            done = subprocess.run(typed, cwd=desk, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
    finally:
        going = [record.token for record in Ledger().all() if not record.status.state.final]
        if going:
            subprocess.run([sys.executable, "-P", "-m", "hpcbrew", "cancel", *going], check=False)


def on_a_cluster(section: str, desk: Path, tmp_path: Path) -> None:
    """The page's cluster, by the user's own profile of that name. It has no GPUs to train on, and its engine is told of
    none."""
    with serve(tmp_path) as cluster:
        engine = shlex.quote(sys.executable)
        cluster.engine(f"exec {engine} -P -m engine.cli $(printf ' %q' \"$@\" | sed 's/ -gpu [^ ]*//')")
        cluster.pbs.configure(spare=["pbs02"], queues={"workq": {}})
        own = Path(os.environ["XDG_CONFIG_HOME"]) / "hpcbrew" / "clusters" / "iitd.yaml"
        own.parent.mkdir(parents=True)
        own.write_text(THERE)
        walk(section, desk, PATH=f"{cluster.ssh}:{Path(sys.executable).parent}:{os.environ['PATH']}")


HEAVY = {
    "Quick start": on_this_machine,
    "Your own pictures": on_this_machine,
    "Models and recipes": on_this_machine,
    "Training on a cluster": on_a_cluster,
    "Caffe's command line and Python": on_this_machine,
}


@pytest.mark.slow
@pytest.mark.parametrize("section", HEAVY)
def test_what_trains(section: str, desk: Path, tmp_path: Path) -> None:
    HEAVY[section](section, desk, tmp_path)
