"""When oneDNN is called: after a trial in a process of its own, whose outcome is kept."""

import subprocess
from pathlib import Path

import jax
import jaxlib
import pytest

from engine.errors import DeviceError
from engine.ops import onednn_proof


@pytest.fixture
def trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Trials that end with the statuses and outputs given, and a machine and jaxlib on which they are held."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("HPCBREW_ONEDNN", raising=False)
    monkeypatch.setattr(jax, "default_backend", lambda: "cpu")
    monkeypatch.setattr(jaxlib, "__version__", "0.10.2")
    monkeypatch.setattr(onednn_proof.platform, "system", lambda: "Linux")
    monkeypatch.setattr(onednn_proof.platform, "machine", lambda: "x86_64")
    ended: list[tuple[int, str]] = []

    def run(command, **_):
        if not ended:
            raise subprocess.TimeoutExpired(command, 1)
        status, said = ended.pop(0)
        return subprocess.CompletedProcess(command, status, said, "")

    monkeypatch.setattr(onednn_proof.subprocess, "run", run)
    return ended


def passed() -> bool:
    """As a new process would find it."""
    return onednn_proof._proved.__wrapped__()


def test_what_passed_is_not_tried_again(trial):
    trial.append((0, "passed\n"))
    assert passed()
    assert passed()


@pytest.mark.parametrize("ended", [(-6, ""), (0, "y of a convolution of 1×1 is wrong.\n")], ids=["abort", "wrong"])
def test_nor_is_what_failed(trial, ended):
    trial.append(ended)
    assert not passed()
    trial.append((0, "passed\n"))
    assert not passed()


@pytest.mark.parametrize("ended", [[], [(1, "")]], ids=["timeout", "error"])
def test_what_may_pass_another_time_is_tried_again(trial, ended):
    trial.extend(ended)
    assert not passed()
    trial.append((0, "passed\n"))
    assert passed()


def test_another_jaxlib_has_a_trial_of_its_own(trial, monkeypatch: pytest.MonkeyPatch):
    trial.append((0, "passed\n"))
    assert passed()
    monkeypatch.setattr(jaxlib, "__version__", "0.11.2")
    assert not passed()


def test_without_a_cache_it_is_tried_each_time(trial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    trial.extend([(0, "passed\n")] * 2)
    assert passed()
    assert passed()
    assert not trial


def test_a_gpu_another_processor_and_another_jaxlib_need_no_trial(trial, monkeypatch: pytest.MonkeyPatch):
    trial.append((0, "passed\n"))
    for module, name, value in (
        (jax, "default_backend", lambda: "gpu"),
        (onednn_proof.platform, "machine", lambda: "aarch64"),
        (onednn_proof.platform, "system", lambda: "Darwin"),
        (jaxlib, "__version__", "0.8.0"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, value)
            assert not passed()
    assert trial


def test_the_user_can_turn_it_off(trial, monkeypatch: pytest.MonkeyPatch):
    trial.append((0, "passed\n"))
    monkeypatch.setenv("HPCBREW_ONEDNN", "off")
    assert not passed()
    monkeypatch.setenv("HPCBREW_ONEDNN", "no")
    with pytest.raises(DeviceError, match="HPCBREW_ONEDNN is 'no'; set it to off, or unset it"):
        passed()
