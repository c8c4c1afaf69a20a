"""Turns a device's failures during a run into messages that say what to do: those of JAX's errors that are the
machine's fault, not the program's."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import jax

from engine import forked
from engine.errors import DeviceError
from engine.host import memory
from engine.units import short_size

LESS = f"What takes less: {memory.saving_advice('-')}; on a GPU, -recompute."

ASKED = re.compile(r"allocat\w* ([\d.]+) ?(bytes|B|[KMGT]iB)\b")

UNITS = {unit: 1024**n for n, unit in enumerate(("B", "KiB", "MiB", "GiB", "TiB"))} | {"bytes": 1}

FAULTS = (
    (
        r"DNN library|CUDNN_STATUS_(NOT_INITIALIZED|INTERNAL_ERROR|ALLOC_FAILED)|[Ff]ailed to create cu\w+ handle",
        "cuDNN or cuBLAS does not start on this GPU. Usually another program holds its memory (see nvidia-smi), or "
        "LD_LIBRARY_PATH leads to another CUDA than JAX's own: leave out `module load cuda` and cudnn.",
    ),
    (
        r"no kernel image|NO_BINARY_FOR_GPU|UNSUPPORTED_PTX|Unsupported gpu arch|ARCH_MISMATCH|compute capability",
        "This GPU is older than what the installed JAX, or its cuDNN, is made for (`caffe device_query` shows its "
        "revision): ask for a newer one, hpcbrew submit --gpu-type TYPE, or train on the CPU, without -gpu.",
    ),
    (
        r"ILLEGAL_ADDRESS|LAUNCH_FAILED|ECC_UNCORRECTABLE|HARDWARE_STACK|XID|DEVICE_LOST|device is lost",
        "The GPU failed. Resume from the last snapshot (-snapshot auto), on another node if it fails again: nvidia-smi "
        "-q and the site's support know of damaged GPUs.",
    ),
)
"""Patterns in JAX's messages about a GPU, and what each means."""

AMONG_GPUS = (
    "The GPUs could not exchange their gradients: with NCCL_DEBUG=INFO in the environment, NCCL says why; a single "
    "GPU, -gpu 0, has nothing to exchange."
)
"""For a process that trains alone. With several processes, `DataParallel.naming_lost_nodes` reports a lost one."""


@contextmanager
def surfaced() -> Iterator[None]:
    """A context for running a compiled net. Raises NetError in a process where none can run (a forked one), and
    DeviceError if the device fails."""
    forked.check()
    try:
        yield
    except jax.errors.JaxRuntimeError as e:
        message = words(e)
        if message is None:
            raise
        raise DeviceError(message) from e


def words(error: Exception) -> str | None:
    """The message for an error raised by JAX; None if the program itself is at fault."""
    message = str(error)
    if "RESOURCE_EXHAUSTED" in message:
        return f"the device has too little memory for this net: {_asked(message)} {LESS}"
    advice = next((what for pattern, what in FAULTS if re.search(pattern, message)), None)
    if advice is None and "nccl" in message.lower() and jax.process_count() == 1:
        advice = AMONG_GPUS
    return f"{_line(message)} {advice}" if advice else None


def _asked(message: str) -> str:
    """How much memory was asked for, and how much there is; JAX's own message if that is not in it."""
    match = ASKED.search(message)
    if match is None:
        return _line(message)
    size = int(float(match[1]) * UNITS[match[2]])
    stats = jax.local_devices()[0].memory_stats() or {}
    most, used = stats.get("bytes_limit", memory.limit()), stats.get("bytes_in_use", 0)
    others = " Other programs hold some of it: nvidia-smi shows them." if stats and used + size < 0.9 * most else ""
    return f"it asks for {short_size(size)} more, of {short_size(most)} in total.{others}"


def _line(message: str) -> str:
    return f"{message.strip().splitlines()[0].rstrip('.')}." if message.strip() else "JAX gives no reason."
