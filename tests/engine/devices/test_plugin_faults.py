import subprocess
import sys
from pathlib import Path

import pytest

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
