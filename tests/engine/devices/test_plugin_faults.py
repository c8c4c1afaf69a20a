import logging
import subprocess
import sys
from pathlib import Path

import pytest

from engine.devices import plugin_faults

REASON = "operation cudaGetDeviceCount(&count) failed: no CUDA-capable device is detected"


@pytest.mark.parametrize(
    ("call", "status", "said"),
    [("jax_setup.prepare('')", 0, ""), ("jax_setup.prepare('0')", 1, REASON), ("main(['device_query'])", 0, "cpu")],
    ids=["none is asked for", "one is asked for", "all are shown"],
)
def test_a_plugin_that_cannot_start_is_told_to_who_asks_for_its_devices(
    tmp_path: Path, call: str, status: int, said: str
) -> None:
    """As JAX's for CUDA does on a node without a GPU."""
    plugin = tmp_path / "jax_plugins" / "no_gpu"
    plugin.mkdir(parents=True)
    (plugin / "__init__.py").write_text(f"def initialize():\n    raise RuntimeError({REASON!r})\n")
    load = "from engine.cli import main; from engine.devices import jax_setup"
    code = f"{load}; {call}; import jax; print(jax.devices()[0].platform)"
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(tmp_path), "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == status, done.stderr
    assert "Jax plugin configuration error" not in done.stderr
    assert (said in done.stderr.splitlines()[-1]) if said else "Traceback" not in done.stderr
    assert done.stdout == ("" if status else "cpu\n")


@pytest.fixture
def faults():
    return plugin_faults.PluginFaults()


def _shown(faults: plugin_faults.PluginFaults, said: str, error: Exception | None = None) -> bool:
    exc_info = (type(error), error, None) if error else None
    return faults.filter(logging.LogRecord("jax", logging.WARNING, __file__, 1, said, None, exc_info))


def test_what_was_found_and_what_is_needed_stay_beside_each_other(faults):
    error = RuntimeError("Outdated cuDNN installation found.\nVersion JAX was built against: 91000\nInstalled: 8907")
    assert not _shown(faults, "Jax plugin configuration error: Exception when calling xla.initialize()", error)
    assert faults.reasons == ["Outdated cuDNN installation found. Version JAX was built against: 91000 Installed: 8907"]


def test_what_the_plugin_for_cuda_found_itself_is_kept_too(faults):
    assert not _shown(faults, "CUDA version check failed during initialization. … Error: Unable to load CUDA.")
    assert faults.reasons == ["Unable to load CUDA."]


def test_that_jax_has_no_cuda_is_shown_unless_it_has_and_could_not_start(faults):
    said = "An NVIDIA GPU may be present on this machine, but a CUDA-enabled jaxlib is not installed."
    assert _shown(faults, said)
    faults.reasons.append("Unable to load CUDA.")
    assert not _shown(faults, said)
