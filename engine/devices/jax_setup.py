"""Readies JAX before it starts: device, precision, memory allocator, the cache of compiled programs."""

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
"""Names of -precision, and JAX's for products of float32. JAX's own default is TF32 on GPUs that have it."""

LOW = {"float32": "float32", "tf32": "float32", "bfloat16": "bfloat16"}
"""What a net is told of -precision: TF32 is the device's way with float32, and no type of its own."""


MEMORY = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "XLA_PYTHON_CLIENT_MEM_FRACTION": "0.9"}
"""Where the environment says nothing, a GPU's memory is taken as it is needed, as Caffe takes it: others may be on it.
JAX would take three quarters at once, and never more; the tenth that is left is for CUDA's own."""


def join() -> None:
    """Joins the other nodes of a job, where there are any. Before all else. Raises DeviceError."""
    _before_jax()
    _load()
    from engine.devices import data_parallel  # noqa: PLC0415  after mallopt

    data_parallel.join()


def prepare(gpu: str, precision: str = "float32") -> None:
    """Selects the devices, "" being the CPU and "all" every GPU, and sets JAX up. Before any computation.

    Raises DeviceError where a GPU is not there.
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
    here = _taken(gpu, f"-gpu {gpu}: ")
    named = [str(i) for i in range(len(here))] if gpu == "all" else _numbers(gpu)
    if len(here) < len(named):
        raise DeviceError(
            f"-gpu {gpu}: of those numbers JAX finds {len(here)}; `caffe device_query -gpu all` lists what there is."
        )
    log.info("caffe.cpp:204", f"Using GPUs {', '.join(named)}")
    for name, device in zip(named, here, strict=True):
        log.info("caffe.cpp:209", f"GPU {name}: {device.device_kind}")


def _load() -> None:
    """Imports JAX. Raises DeviceError where it cannot read its own variables in the environment."""
    try:
        with interrupts.at_once(), collector.paused():
            import jax  # noqa: PLC0415, F401
    except ValueError as e:
        raise DeviceError(f"JAX cannot be loaded: {e}. Correct that variable of the environment, or unset it.") from e


def prepare_embedded() -> None:
    """For a Python program that imports the engine: XLA keeps its remarks to itself, and what it compiles on the disk.

    The device is the program's to choose. Products are float32's as Caffe has them, unless the program or
    JAX_DEFAULT_MATMUL_PRECISION says otherwise.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    _on_demand()
    plugin_faults.keep()
    _load()
    import jax  # noqa: PLC0415  after what it reads of the environment

    if jax.config.values.get("jax_default_matmul_precision") is None:
        jax.config.update("jax_default_matmul_precision", PRECISION["float32"])
    _cache_compiled()


def gpu_of(flag: str, param: pb.SolverParameter) -> str:
    """The GPU that a run asks for: by the flag, or as Caffe has it by the solver's solver_mode and device_id.

    solver_mode in a file is a wish: where there is no GPU at all, it is said and the CPU taken. The flag is an order.
    """
    if flag or not param.HasField("solver_mode") or param.solver_mode != pb.SolverParameter.GPU:
        return flag
    wanted = str(param.device_id)
    try:
        _taken(wanted, "")
    except DeviceError as e:
        log.warning("caffe.cpp:188", f"solver_mode is GPU, and the CPU is used: {e}")
        return ""
    return wanted


def _numbers(gpu: str) -> list[str]:
    """The numbers of a flag, in their order: that in which JAX has the devices, the first the root."""
    numbers = gpu.split(",")
    if not all(number.isdecimal() and number.isascii() for number in numbers) or len(set(numbers)) < len(numbers):
        raise DeviceError(f"-gpu {gpu}: it takes the numbers of GPUs, as -gpu 0 or -gpu 0,1, or all.")
    return sorted(numbers, key=int)


def _taken(gpu: str, asked: str) -> "list[Device]":
    """The GPUs of a flag: those that JAX makes itself at home on, and no other. Raises DeviceError as `gpus` does."""
    _before_jax()
    import jax  # noqa: PLC0415  after mallopt

    if gpu != "all":
        jax.config.update("jax_cuda_visible_devices", ",".join(_numbers(gpu)))
    return gpus(asked, otherwise="Without -gpu the CPU is used.")


def gpus(asked: str, otherwise: str) -> "list[Device]":
    """The GPUs that JAX finds on this node. Where there are none, DeviceError.

    Its message begins with `asked`, tells why there are none as far as that can be told, and ends with `otherwise`.
    """
    import jax  # noqa: PLC0415  after mallopt

    try:
        found: list[Device] = jax.local_devices(backend="gpu")
    except RuntimeError as e:
        why = no_gpu.why(str(e), plugin_faults.FAULTS.reasons, no_gpu.there())
        raise DeviceError(f"{asked}JAX finds no GPU on {platform.node()}: {why} {otherwise}") from e
    return found


def every() -> "list[Device]":
    """Every device that JAX finds on this node; where a GPU is there and cannot be used, it is said why."""
    prepare_embedded()
    import jax  # noqa: PLC0415  after what it reads of the environment

    try:
        found: list[Device] = jax.local_devices()
        words = ""
    except RuntimeError as e:
        words = str(e)
        jax.config.update("jax_platforms", "cpu")
        found = jax.local_devices()
    faults = plugin_faults.FAULTS.reasons
    if words or faults:
        why = no_gpu.why(words, faults, no_gpu.there())
        log.warning("common.cpp:152", f"GPUs cannot be used here: {why}")
    return found


def _on_demand() -> None:
    """Before JAX finds its plugins."""
    if "XLA_CLIENT_MEM_FRACTION" in os.environ:  # the newer name: both together are refused
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", MEMORY["XLA_PYTHON_CLIENT_PREALLOCATE"])
        return
    for name, value in MEMORY.items():
        os.environ.setdefault(name, value)


def _before_jax() -> None:
    """Has glibc keep large freed blocks, instead of returning them to the system and getting them zeroed each step.

    Measured on 2 cores: AlexNet's pass from 303 to 250 ms, CIFAR-10's step from 469 to 424. Other C libraries: nothing.
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
    """Keeps compiled programs from one run to the next."""
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
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)  # of many sizes, each takes little
