"""Fixtures for the submitter's tests, including tests through the command line."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import lmdb
import pytest

from engine.proto import caffe_pb2 as pb
from hpcbrew.transports.base import Transport
from hpcbrew.transports.local import Local
from hpcbrew.transports.paramiko_ssh import Ssh
from hpcbrew.transports.prompt import Unattended
from support import sshd
from support.remote import RemoteCluster, serve

NET = """
name: "Tiny"
layer { name: "in" type: "Data" top: "data" top: "label" include { phase: TRAIN }
        data_param { source: "train_lmdb" batch_size: 2 backend: LMDB } }
layer { name: "in" type: "Data" top: "data" top: "label" include { phase: TEST }
        data_param { source: "train_lmdb" batch_size: 2 backend: LMDB } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 2 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""
SOLVER = """
net: "net.prototxt" base_lr: 0.1 lr_policy: "fixed" max_iter: 3 test_iter: 1 test_interval: 2 snapshot_prefix: "tiny"
"""


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Gives the test its own folders for data and settings, so that it touches nothing of the user's."""
    home = tmp_path_factory.mktemp("home")
    for variable, name in (("XDG_DATA_HOME", "data"), ("XDG_CONFIG_HOME", "config")):
        monkeypatch.setenv(variable, str(home / name))
    return home


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder with a solver, its net and an LMDB of two small pictures."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "net.prototxt").write_text(NET)
    (folder / "solver.prototxt").write_text(SOLVER)
    with lmdb.open(str(folder / "train_lmdb"), map_size=2**20) as db, db.begin(write=True) as txn:
        for i in range(2):
            datum = pb.Datum(channels=1, height=2, width=2, data=bytes([i * 200] * 4), label=i)
            txn.put(f"{i:08}".encode(), datum.SerializeToString())
    return folder


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes."""
    folder = tmp_path / "small disk"
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], capture_output=True, text=True, check=False
    )
    if made.returncode != 0:
        pytest.skip(f"makes a small file system, which only root may: {made.stderr}")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.fixture
def remote(tmp_path: Path, home: Path) -> Iterator[RemoteCluster]:
    """A cluster behind a real SSH server, with a PBS."""
    with serve(tmp_path) as cluster:
        yield cluster


Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def hpcbrew(tmp_path: Path) -> Run:
    """Runs the command line as a user does, in `tmp_path`."""

    def run(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-P", "-m", "hpcbrew", *map(str, arguments)]
        settings = {"cwd": tmp_path, "capture_output": True, "text": True, "env": os.environ.copy()} | options
        return subprocess.run(command, check=False, **settings)  # type: ignore[call-overload,no-any-return]

    return run


@pytest.fixture(params=["local", "ssh"])
def transport(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Transport]:
    """A transport to this machine: once directly, once through an SSH server."""
    if request.param == "local":
        yield Local()
        return
    (tmp_path / "sshd").mkdir()
    with sshd.serve(tmp_path / "sshd") as server:
        way = Ssh("cluster", Unattended(), server.resolve)
        yield way
        way.close()
