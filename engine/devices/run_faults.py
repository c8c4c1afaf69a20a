"""What a device fails with in the midst of a run, in words that say what to do: of all that JAX raises, what has to do
with the machine, and not with the program."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import jax

from engine import forked
from engine.errors import DeviceError
from engine.host import memory
from engine.units import short_size

LESS = f"What takes less: {memory.less('-')}; on a GPU, -recompute."

ASKED = re.compile(r"allocat\w* ([\d.]+) ?(bytes|B|[KMGT]iB)\b")

UNITS = {unit: 1024**n for n, unit in enumerate(("B", "KiB", "MiB", "GiB", "TiB"))} | {"bytes": 1}

FAULTS = (
    (
        r"DNN library|CUDNN_STATUS_(NOT_INITIALIZED|INTERNAL_ERROR|ALLOC_FAILED)|[Ff]ailed to create cu\w+ handle",
        "cuDNN or cuBLAS does not start on this GPU. Mostly another program holds its memory (see nvidia-smi), or "
        "LD_LIBRARY_PATH leads to another CUDA than JAX's own: leave out `module load cuda` and cudnn.",
    ),
    (
        r"no kernel image|NO_BINARY_FOR_GPU|UNSUPPORTED_PTX|Unsupported gpu arch|ARCH_MISMATCH|compute capability",
        "This GPU is older than what the installed JAX, or its cuDNN, is made for (`caffe device_query` shows its "
        "revision): ask for a newer one, hpcbrew submit --gpu-type TYPE, or train on the CPU, without -gpu.",
    ),
    (
        r"ILLEGAL_ADDRESS|LAUNCH_FAILED|ECC_UNCORRECTABLE|HARDWARE_STACK|XID|DEVICE_LOST|device is lost",
        "The GPU failed. Go on from the last snapshot (-snapshot auto), on another node if it fails again: nvidia-smi "
        "-q and the site's support tell of damaged ones.",
    ),
)
"""What JAX says of a GPU, and what it means."""

AMONG_GPUS = (
    "The GPUs could not exchange their gradients: NCCL_DEBUG=INFO in the environment has NCCL say why; one alone, "
    "-gpu 0, has nothing to exchange."
)
"""Of a process that trains alone. Of several, `DataParallel.losses_named` tells which one was lost."""


@contextmanager
def surfaced() -> Iterator[None]:
    """Around the run of a compiled net. Raises NetError where none can run, DeviceError where the device fails."""
    forked.check()
    try:
        yield
    except jax.errors.JaxRuntimeError as e:
        told = words(e)
        if told is None:
            raise
        raise DeviceError(told) from e


def words(error: Exception) -> str | None:
    """What is to be said of an error of JAX's; None of those that are the program's own."""
    said = str(error)
    if "RESOURCE_EXHAUSTED" in said:
        return f"the device has too little memory for this net: {_asked(said)} {LESS}"
    meant = next((what for pattern, what in FAULTS if re.search(pattern, said)), None)
    if meant is None and "nccl" in said.lower() and jax.process_count() == 1:
        meant = AMONG_GPUS
    return f"{_line(said)} {meant}" if meant else None


def _asked(said: str) -> str:
    """How much memory was asked for, of how much; JAX's own words where these do not tell."""
    asked = ASKED.search(said)
    if asked is None:
        return _line(said)
    size = int(float(asked[1]) * UNITS[asked[2]])
    told = jax.local_devices()[0].memory_stats() or {}
    most, used = told.get("bytes_limit", memory.limit()), told.get("bytes_in_use", 0)
    others = " Other programs hold some of it: nvidia-smi shows them." if told and used + size < 0.9 * most else ""
    return f"it asks for {short_size(size)} more, and there are {short_size(most)} in all.{others}"


def _line(said: str) -> str:
    return f"{said.strip().splitlines()[0].rstrip('.')}." if said.strip() else "JAX gives no reason."
