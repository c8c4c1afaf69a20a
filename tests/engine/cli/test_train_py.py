"""train.py: BVLC's flags are `caffe train`'s."""

import subprocess

import pytest

from engine import cli
from engine.cli import train_py


@pytest.fixture
def asked(monkeypatch):
    """The command lines that it passes on."""
    calls = []
    monkeypatch.setattr(cli, "main", lambda args: calls.append(args) or 0)
    monkeypatch.setattr(subprocess, "call", lambda args: calls.append(args[2:]) or 0)
    return calls


def test_flags_are_passed_on(asked):
    assert train_py.main(["--solver", "s.prototxt", "--gpus", "0", "2", "--snapshot", "x.solverstate"]) == 0
    assert asked == [["train", "-solver", "s.prototxt", "-gpu", "0,2", "-snapshot", "x.solverstate"]]


def test_layers_are_timed_first(asked, tmp_path):
    (tmp_path / "s.prototxt").write_text('net: "net.prototxt" base_lr: 1 lr_policy: "fixed"')
    assert train_py.main(["--solver", str(tmp_path / "s.prototxt"), "--timing"]) == 0
    assert asked[0] == ["engine.cli", "time", "-model", "net.prototxt", "-gpu", "0", "-iterations", "10"]
    assert asked[1][0] == "train"


@pytest.mark.parametrize(
    ("solver", "message"),
    [(None, "no such file"), ("net_param { } base_lr: 1", "net in a file of its own")],
)
def test_what_cannot_be_timed_is_told(asked, tmp_path, solver, message, capsys):
    if solver:
        (tmp_path / "s.prototxt").write_text(solver)
    assert train_py.main(["--solver", str(tmp_path / "s.prototxt"), "--timing"]) == 2
    assert message in capsys.readouterr().err
    assert not asked
