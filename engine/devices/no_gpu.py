"""Why JAX finds no GPU on a node, and what to do: its own words are true, and of no use to most."""

import os
import re
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

FILES = ("/dev/nvidia0", "/dev/nvidiactl", "/dev/dxg")
"""Where the driver shows itself: on a node, in a container, under Windows."""

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
        "Its parts are of several versions: pip install -U 'hpcbrew[cuda12]' brings those that fit.",
    ),
    (r"OUT_OF_MEMORY|out of memory", "Other programs hold its memory: nvidia-smi shows them."),
    (
        r"[Nn]o visible GPU|no supported devices|no CUDA-capable device|INVALID_DEVICE|invalid device ordinal",
        "There is none of that number: they count from 0, within CUDA_VISIBLE_DEVICES where that is set; `caffe "
        "device_query -gpu all` lists them.",
    ),
)
"""What to do, by what was said."""


def there() -> bool:
    """Whether the driver shows a GPU of NVIDIA's here."""
    return any(Path(name).exists() for name in FILES)


def installed() -> bool:
    """Whether JAX came with CUDA."""
    return any(find_spec(name) for name in PLUGINS)


def why(said: str, faults: Sequence[str], present: bool, environment: Mapping[str, str] = os.environ) -> str:
    """In sentences. said: JAX's own words. faults: why its plugins could not start. present: see `there`."""
    platforms = environment.get("JAX_PLATFORMS", "")
    if platforms and not {"cuda", "gpu"} & {*platforms.split(",")}:
        return f"JAX_PLATFORMS is {platforms!r}, which leaves GPUs out: unset it."
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and (not visible.strip() or visible.startswith("-") or visible == "NoDevFiles"):
        return f"CUDA_VISIBLE_DEVICES is {visible!r}, which hides every GPU: unset it; in a job, ask for a GPU."
    if not present:
        return (
            f"there is no driver of NVIDIA's{_because(faults)}. Is this a login node, or a job that asked for no GPU? "
            "hpcbrew submit --gpu asks for one."
        )
    if not faults and not installed():
        return f"it has one, and the engine was installed without CUDA. {INSTALL}."
    words = _words(said)
    if not faults and words.startswith("Unknown backend"):
        return f"{words.rstrip('.')}. Was something of CUDA installed beside JAX? {INSTALL} installs it anew."
    told = " ".join(faults) or words
    advice = next((what for pattern, what in ADVICE if re.search(pattern, told)), f"If it is broken: {INSTALL}.")
    hidden = f" CUDA_VISIBLE_DEVICES is {visible!r}." if visible is not None else ""
    return f"{told.rstrip('.')}.{hidden} {advice}"


def _because(faults: Sequence[str]) -> str:
    return f" ({'; '.join(fault.rstrip('.') for fault in faults)})" if faults else ""


def _words(said: str) -> str:
    """JAX's first line, without how it begins and with what it advises for programs of its own."""
    line = said.strip().splitlines()[0] if said.strip() else "no reason is given"
    return re.sub(r"^Unable to initialize backend '\w+': (?:[A-Z_]+: )?| \(you may need to .*\)$", "", line).strip()
