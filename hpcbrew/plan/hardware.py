"""The cores, GPUs and memory of this machine."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from engine.host import cpu_count, memory


@dataclass(frozen=True)
class Machine:
    """Cores that this process may use, NVIDIA GPUs, and bytes of memory that it may use (None: no limit)."""

    cpus: int
    gpus: int
    mem: int | None = None


def here() -> Machine:
    """Looks at this machine. GPUs are counted by their device files, or by nvidia-smi if there are none (as under
    WSL)."""
    return Machine(cpu_count.usable(), _device_files() or _nvidia_smi(), memory.limit())


def _device_files() -> int:
    return sum(path.name.removeprefix("nvidia").isdigit() for path in Path("/dev").glob("nvidia*"))


def _nvidia_smi() -> int:
    try:
        result = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    return sum(line.startswith("GPU ") for line in result.stdout.splitlines()) if result.returncode == 0 else 0
