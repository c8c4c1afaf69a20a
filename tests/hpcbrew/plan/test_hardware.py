from pathlib import Path

import pytest

from engine.host import cpu_count, memory
from hpcbrew.plan import hardware
from hpcbrew.plan.hardware import Machine


@pytest.mark.parametrize(
    ("body", "gpus"),
    [
        ("printf 'GPU 0: NVIDIA A100 (UUID: 1)\\nGPU 1: NVIDIA A100 (UUID: 2)\\n'", 2),
        ("echo 'NVIDIA-SMI has failed'; exit 9", 0),
        ("printf 'GPU 0: lost\\n'; exit 15", 0),
    ],
    ids=["two", "no driver", "a GPU that is lost"],
)
def test_gpus_without_device_files_are_those_that_nvidia_smi_lists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, gpus: int
) -> None:
    (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\n{body}\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(hardware, "_device_files", lambda: 0)
    assert hardware.here() == Machine(cpu_count.usable(), gpus, memory.limit())


def test_a_machine_without_nvidia_smi_has_no_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(hardware, "_device_files", lambda: 0)
    assert hardware.here().gpus == 0
