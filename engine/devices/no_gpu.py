"""Explains why JAX finds no GPU on a node, and what to do about it: JAX's own message helps few users."""

import os
import re
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

FILES = ("/dev/nvidia0", "/dev/nvidiactl", "/dev/dxg")
"""Files that show that a driver is there: on a node, in a container, under Windows."""

PLUGINS = ("jax_cuda12_plugin", "jax_cuda13_plugin")

INSTALL = "pip install 'hpcbrew[cuda12]' (for drivers from 525 on: see nvidia-smi), or hpcbrew setup NAME --gpu"

ADVICE = (
    (
        r"driver version is insufficient|INSUFFICIENT_DRIVER|forward compatibility",
        "The driver is too old for the CUDA that is installed: cuda12 needs 525 or newer, cuda13 580: see nvidia-smi.",
    ),
    (
        r"Outdated",
        "Another CUDA is found before the one that came with JAX: leave out `module load cuda` and cudnn, and unset "
        "LD_LIBRARY_PATH.",
    ),
    (r"Unable to load|cannot open shared object", f"Libraries of CUDA are missing. {INSTALL}"),
    (
        r"PJRT API version|not compatible|undefined symbol",
        "Parts of JAX have different versions: pip install -U 'hpcbrew[cuda12]' installs matching ones.",
    ),
    (r"OUT_OF_MEMORY|out of memory", "Other programs hold its memory: nvidia-smi shows them."),
    (
        r"[Nn]o visible GPU|no supported devices|no CUDA-capable device|INVALID_DEVICE|invalid device ordinal",
        "There is no GPU with that number: they count from 0, within CUDA_VISIBLE_DEVICES if that is set; `caffe "
        "device_query -gpu all` lists them.",
    ),
)
"""Advice for each pattern in JAX's messages."""


def there() -> bool:
    """Whether an NVIDIA driver is present here."""
    return any(Path(name).exists() for name in FILES)


def installed() -> bool:
    """Whether JAX was installed with CUDA."""
    return any(find_spec(name) for name in PLUGINS)


def why(message: str, faults: Sequence[str], present: bool, environment: Mapping[str, str] = os.environ) -> str:
    """Why there is no GPU and what to do, in sentences. message: JAX's. faults: why its plugins could not start.
    present: see `there`."""
    platforms = environment.get("JAX_PLATFORMS", "")
    if platforms and not {"cuda", "gpu"} & {*platforms.split(",")}:
        return f"JAX_PLATFORMS is {platforms!r}, which leaves GPUs out: unset it."
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and (not visible.strip() or visible.startswith("-") or visible == "NoDevFiles"):
        return f"CUDA_VISIBLE_DEVICES is {visible!r}, which hides every GPU: unset it; in a job, ask for a GPU."
    if not present:
        return (
            f"there is no NVIDIA driver{_because(faults)}. Is this a login node, or a job that asked for no GPU? "
            "hpcbrew submit --gpu asks for one."
        )
    if not faults and not installed():
        return f"it has one, but the engine was installed without CUDA. {INSTALL}."
    words = _words(message)
    if not faults and words.startswith("Unknown backend"):
        return f"{words.rstrip('.')}. Was a part of CUDA installed separately? {INSTALL} reinstalls it."
    reason = " ".join(faults) or words
    advice = next((what for pattern, what in ADVICE if re.search(pattern, reason)), f"If it is broken: {INSTALL}.")
    hidden = f" CUDA_VISIBLE_DEVICES is {visible!r}." if visible is not None else ""
    return f"{reason.rstrip('.')}.{hidden} {advice}"


def _because(faults: Sequence[str]) -> str:
    return f" ({'; '.join(fault.rstrip('.') for fault in faults)})" if faults else ""


def _words(message: str) -> str:
    """The first line of JAX's message, without its prefix and its advice about JAX's own settings."""
    line = message.strip().splitlines()[0] if message.strip() else "no reason is given"
    return re.sub(r"^Unable to initialize backend '\w+': (?:[A-Z_]+: )?| \(you may need to .*\)$", "", line).strip()
