"""Sets JAX up before it starts: devices, precision, memory allocator, the cache of compiled programs."""

import ctypes
import os
import platform
from typing import TYPE_CHECKING

from engine import log
from engine.devices import no_gpu, plugin_faults
from engine.errors import DeviceError
from engine.host import collector, interrupts, user_cache
from engine.proto import caffe_pb2 as pb

if TYPE_CHECKING:
    from jax import Device

PRECISION = {"float32": "highest", "tf32": "tensorfloat32", "bfloat16": "default"}
"""The names for -precision, and JAX's for products of float32. JAX's own default is TF32 on GPUs that have it."""

LOW = {"float32": "float32", "tf32": "float32", "bfloat16": "bfloat16"}
"""The precision of a net for each -precision: TF32 is how the device computes with float32, not a type."""


MEMORY = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "XLA_PYTHON_CLIENT_MEM_FRACTION": "0.9"}
"""The defaults for these environment variables: GPU memory is allocated as needed, as in Caffe, since others may use
the GPU too. JAX would allocate three quarters at once, and never more. A tenth is left for CUDA itself."""


def join() -> None:
    """Joins the other nodes of a job, if there are any. To be called before all else. Raises DeviceError."""
    _before_jax()
    _load()
    from engine.devices import data_parallel  # noqa: PLC0415  after mallopt

    data_parallel.join()


def prepare(gpu: str, precision: str = "float32") -> None:
    """Selects the devices ("" is the CPU, "all" every GPU) and sets JAX up. To be called before any computation.

    Raises DeviceError if a GPU is not there.
    """
    _before_jax()
    _load()
    import jax  # noqa: PLC0415  after mallopt

    jax.config.update("jax_default_matmul_precision", PRECISION[precision])
    _cache_compiled()
    if not gpu:
        jax.config.update("jax_platforms", "cpu")
        log.info("caffe.cpp:197", "Use CPU.")
        return
    devices = _taken(gpu, f"-gpu {gpu}: ")
    numbers = [str(i) for i in range(len(devices))] if gpu == "all" else _numbers(gpu)
    if len(devices) < len(numbers):
        raise DeviceError(
            f"-gpu {gpu}: JAX finds only {len(devices)} of these; `caffe device_query -gpu all` lists the GPUs here."
        )
    log.info("caffe.cpp:204", f"Using GPUs {', '.join(numbers)}")
    for name, device in zip(numbers, devices, strict=True):
        log.info("caffe.cpp:209", f"GPU {name}: {device.device_kind}")


def _load() -> None:
    """Imports JAX. Raises DeviceError if JAX rejects one of its environment variables."""
    try:
        with interrupts.at_once(), collector.paused():
            import jax  # noqa: PLC0415, F401
    except ValueError as e:
        raise DeviceError(f"JAX cannot be loaded: {e}. Correct or unset that environment variable.") from e


def prepare_embedded() -> None:
    """Sets JAX up for a Python program that imports the engine: silences XLA's log, and caches compiled programs.

    The program itself chooses the device. Products are in float32, as in Caffe, unless the program or
    JAX_DEFAULT_MATMUL_PRECISION says otherwise.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    _on_demand()
    plugin_faults.keep()
    _load()
    import jax  # noqa: PLC0415  after the environment variables that it reads are set

    if jax.config.values.get("jax_default_matmul_precision") is None:
        jax.config.update("jax_default_matmul_precision", PRECISION["float32"])
    _cache_compiled()


def gpu_of(flag: str, param: pb.SolverParameter) -> str:
    """The GPU that a run asks for: by the flag or, as in Caffe, by the solver's solver_mode and device_id.

    solver_mode is only a wish: without a GPU, a warning is logged and the CPU is used. The flag is an order.
    """
    if flag or not param.HasField("solver_mode") or param.solver_mode != pb.SolverParameter.GPU:
        return flag
    gpu = str(param.device_id)
    try:
        _taken(gpu, "")
    except DeviceError as e:
        log.warning("caffe.cpp:188", f"solver_mode is GPU, but the CPU is used: {e}")
        return ""
    return gpu


def _numbers(gpu: str) -> list[str]:
    """The numbers in a flag in ascending order, in which JAX has the devices; the first is the root."""
    numbers = gpu.split(",")
    if not all(number.isdecimal() and number.isascii() for number in numbers) or len(set(numbers)) < len(numbers):
        raise DeviceError(f"-gpu {gpu}: it takes distinct numbers of GPUs, such as -gpu 0 or -gpu 0,1, or all.")
    return sorted(numbers, key=int)


def _taken(gpu: str, prefix: str) -> "list[Device]":
    """The GPUs in a flag, the only ones on which JAX may then allocate. Raises DeviceError like `gpus`."""
    _before_jax()
    import jax  # noqa: PLC0415  after mallopt

    if gpu != "all":
        jax.config.update("jax_cuda_visible_devices", ",".join(_numbers(gpu)))
    return gpus(prefix, otherwise="Without -gpu the CPU is used.")


def gpus(prefix: str, otherwise: str) -> "list[Device]":
    """The GPUs that JAX finds on this node. Raises DeviceError if there are none.

    Its message begins with `prefix`, says why there are none as far as that is known, and ends with `otherwise`.
    """
    import jax  # noqa: PLC0415  after mallopt

    try:
        devices: list[Device] = jax.local_devices(backend="gpu")
    except RuntimeError as e:
        why = no_gpu.why(str(e), plugin_faults.FAULTS.reasons, no_gpu.there())
        raise DeviceError(f"{prefix}JAX finds no GPU on {platform.node()}: {why} {otherwise}") from e
    return devices


def every() -> "list[Device]":
    """Every device that JAX finds on this node. If there is a GPU that cannot be used, logs why."""
    prepare_embedded()
    import jax  # noqa: PLC0415  after the environment variables that it reads are set

    try:
        devices: list[Device] = jax.local_devices()
        words = ""
    except RuntimeError as e:
        words = str(e)
        jax.config.update("jax_platforms", "cpu")
        devices = jax.local_devices()
    faults = plugin_faults.FAULTS.reasons
    if words or faults:
        why = no_gpu.why(words, faults, no_gpu.there())
        log.warning("common.cpp:152", f"GPUs cannot be used here: {why}")
    return devices


def _on_demand() -> None:
    """Applies `MEMORY`. To be called before JAX looks for its plugins."""
    if "XLA_CLIENT_MEM_FRACTION" in os.environ:  # the newer name; XLA refuses both together
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", MEMORY["XLA_PYTHON_CLIENT_PREALLOCATE"])
        return
    for name, value in MEMORY.items():
        os.environ.setdefault(name, value)


def _before_jax() -> None:
    """Makes glibc keep large freed blocks, instead of returning them to the system and getting them zeroed each step.

    Measured on 2 cores: AlexNet's pass from 303 to 250 ms, CIFAR-10's step from 469 to 424. Other C libraries are left
    as they are.
    """
    plugin_faults.keep()
    _on_demand()
    if platform.libc_ver()[0] != "glibc":
        return
    m_trim_threshold, m_mmap_max, m_arena_max = -1, -4, -8
    mallopt = ctypes.CDLL(None).mallopt
    mallopt(m_mmap_max, 0)
    mallopt(m_trim_threshold, 2**31 - 1)
    mallopt(m_arena_max, 1)


def _cache_compiled() -> None:
    """Turns on JAX's cache, which keeps compiled programs for later runs."""
    import jax  # noqa: PLC0415  after mallopt

    if os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        return
    try:
        folder = user_cache.folder("compiled")
    except OSError as e:
        log.warning("caffe.cpp:190", f"Compiled programs are not kept for the next run: {e}")
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_compilation_cache_max_size", 2 * 2**30)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)  # small ones too: a run may have many sizes
