import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.errors import DeviceError
from engine.host import login_node
from engine.job_contract import Variable


@pytest.fixture(autouse=True)
def machine(monkeypatch, tmp_path):
    """One without a scheduler, outside of any job; its PATH leads to `tmp_path` alone."""
    for name in (*login_node.JOBS, Variable.TRAIN_HERE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(login_node, "PBS", (tmp_path / "pbs.conf",))
    return tmp_path


def put_qsub(folder: Path) -> None:
    (folder / "qsub").write_text("#!/bin/sh\n")
    (folder / "qsub").chmod(0o755)


def test_a_machine_without_a_scheduler_may_train():
    login_node.refuse()


@pytest.mark.parametrize("variable", [*login_node.JOBS, Variable.TRAIN_HERE])
def test_a_job_may_train_and_so_may_who_says_so(machine, monkeypatch, variable):
    put_qsub(machine)
    monkeypatch.setenv(variable, "1")
    login_node.refuse()


def test_a_login_node_is_refused_also_where_qsub_is_not_on_the_path(machine):
    (machine / "pbs.conf").touch()
    with pytest.raises(DeviceError, match=r"pbs\.conf is here.*hpcbrew submit"):
        login_node.refuse()


def test_the_command_line_trains_nothing_there(machine):
    put_qsub(machine)
    done = subprocess.run(
        [sys.executable, "-P", "-m", "engine.cli", "train", "-solver", "solver.prototxt"],
        capture_output=True, text=True, check=False, env=os.environ | {"HOME": str(machine)},
    )  # fmt: skip
    assert done.returncode == 2
    assert "nothing may be trained on a login node" in done.stderr
