"""Which devices are asked for, and what is said where they are not there. No GPU is needed."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import jax
import pytest

from engine.devices import jax_setup
from engine.errors import DeviceError
from engine.proto import caffe_pb2 as pb

ROOT = Path(__file__).parents[3]


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jax.config, "update", lambda *_: None)

    def none(**_: object) -> list[jax.Device]:
        raise RuntimeError("Unknown backend: 'gpu'\nmore lines")

    monkeypatch.setattr(jax, "local_devices", none)


@pytest.mark.parametrize(
    ("flag", "param", "wanted"),
    [
        ("0,1", pb.SolverParameter(), "0,1"),
        ("0,1", pb.SolverParameter(solver_mode=pb.SolverParameter.CPU), "0,1"),
        ("", pb.SolverParameter(), ""),
        ("", pb.SolverParameter(solver_mode=pb.SolverParameter.CPU), ""),
        ("", pb.SolverParameter(solver_mode=pb.SolverParameter.GPU, device_id=2), "2"),
    ],
)
def test_the_flag_goes_before_the_solvers_own_device(flag, param, wanted, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(jax, "local_devices", lambda backend: ["a GPU"])
    monkeypatch.setattr(jax.config, "update", lambda *_: None)
    assert jax_setup.gpu_of(flag, param) == wanted


def test_of_several_gpus_the_solvers_own_is_taken_and_no_other(monkeypatch: pytest.MonkeyPatch):
    """JAX makes itself at home on all that it may see, and looks once."""
    seen = {"jax_cuda_visible_devices": "all"}
    all_there = [SimpleNamespace(device_kind=f"GPU {n}") for n in range(4)]

    def found(**_: object) -> list[SimpleNamespace]:
        looked.append(numbers := seen["jax_cuda_visible_devices"])
        first = looked[0]  # what is told later comes too late
        return all_there if first == "all" else [all_there[int(n)] for n in numbers.split(",")]

    looked: list[str] = []
    monkeypatch.setattr(jax, "local_devices", found)
    monkeypatch.setattr(jax.config, "update", seen.__setitem__)
    gpu = jax_setup.gpu_of("", pb.SolverParameter(solver_mode=pb.SolverParameter.GPU, device_id=2))
    jax_setup.prepare(gpu)
    assert looked == ["2", "2"]


def test_memory_is_taken_as_it_is_needed_unless_the_environment_says_otherwise(monkeypatch: pytest.MonkeyPatch):
    for name in (*jax_setup.MEMORY, "XLA_CLIENT_MEM_FRACTION"):
        monkeypatch.delenv(name, raising=False)
    jax_setup._on_demand()
    assert {name: os.environ[name] for name in jax_setup.MEMORY} == jax_setup.MEMORY
    monkeypatch.setenv("XLA_PYTHON_CLIENT_MEM_FRACTION", "0.5")
    jax_setup._on_demand()
    assert os.environ["XLA_PYTHON_CLIENT_MEM_FRACTION"] == "0.5"


def test_of_two_names_for_its_share_jax_takes_one_alone(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XLA_CLIENT_MEM_FRACTION", "0.5")
    monkeypatch.delenv("XLA_PYTHON_CLIENT_MEM_FRACTION", raising=False)
    jax_setup._on_demand()
    assert "XLA_PYTHON_CLIENT_MEM_FRACTION" not in os.environ


@pytest.mark.usefixtures("no_gpu")
def test_solver_mode_without_a_gpu_is_said_and_the_cpu_taken(monkeypatch: pytest.MonkeyPatch):
    said: list[str] = []
    monkeypatch.setattr(jax_setup.log, "warning", lambda where, message: said.append(message))
    assert jax_setup.gpu_of("", pb.SolverParameter(solver_mode=pb.SolverParameter.GPU)) == ""
    assert len(said) == 1
    assert said[0].startswith("solver_mode is GPU, but the CPU is used: JAX finds no GPU on ")


def test_numbers_go_in_the_order_in_which_jax_has_the_devices():
    assert jax_setup._numbers("10,2") == ["2", "10"]


@pytest.mark.parametrize("gpu", ["one", "0,", "-1", "0,0", "0;1", "²"])
def test_what_is_no_list_of_numbers_is_refused(gpu: str):
    with pytest.raises(
        DeviceError, match=rf"-gpu {gpu}: it takes distinct numbers of GPUs, such as -gpu 0 or -gpu 0,1, or all"
    ):
        jax_setup._numbers(gpu)


@pytest.mark.usefixtures("no_gpu")
def test_a_node_without_a_gpu_is_named_with_the_reason():
    with pytest.raises(DeviceError, match=r"-gpu 0: JAX finds no GPU on \S+: .+\. Do without\.$"):
        jax_setup.gpus("-gpu 0: ", "Do without.")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """What is configured of JAX."""
    configured: dict[str, object] = {}
    monkeypatch.setattr(jax.config, "update", configured.__setitem__)
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return configured


def test_compiled_programs_are_kept_in_a_folder_of_the_users_own(cache, tmp_path: Path):
    jax_setup._cache_compiled()
    (folder,) = (tmp_path / "hpcbrew").iterdir()
    assert cache["jax_compilation_cache_dir"] == str(folder)
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_folder_that_others_can_write_to_is_not_used(cache, tmp_path: Path):
    jax_setup._cache_compiled()
    (folder,) = (tmp_path / "hpcbrew").iterdir()
    folder.chmod(0o777)
    cache.clear()
    jax_setup._cache_compiled()
    assert not cache


def test_a_folder_of_the_users_own_choice_stays(cache, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "/elsewhere")
    jax_setup._cache_compiled()
    assert not cache


def test_what_times_a_net_needs_no_library_for_pictures_or_leveldb():
    """Machines with a GPU come with JAX, numpy and OpenCV; the rest is to be had only for what needs it."""
    code = """
import sys
sys.modules |= dict.fromkeys(["simplejpeg", "google_crc32c"])
from engine.cli import runtime
from engine.graph import build
from engine.net import Net
from engine.solver import step
import caffe
"""
    path = os.pathsep.join([str(ROOT), str(ROOT / "engine" / "python")])
    subprocess.run([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": path}, check=True)


def test_a_setting_that_jax_cannot_read_is_said():
    environment = {**os.environ, "JAX_ENABLE_X64": "maybe"}
    command = [sys.executable, "-m", "engine.cli", "device_query", "-gpu", "0"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "caffe: error: JAX cannot be loaded: invalid truth value 'maybe' for environment 'JAX_ENABLE_X64'" in (
        done.stderr.replace("\n", " ")
    )
