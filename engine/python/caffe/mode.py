"""Caffe's per-process settings: the device, the random seed, and the process's place among several solvers."""

import threading
from operator import index

import jax
import numpy as np

from engine import forked
from engine.devices import jax_setup
from engine.errors import DeviceError, SolverError

_device, _on_gpu = 0, False
_count = 1
_of_thread = threading.local()
"""`rank`: each solver is made in its own process or thread, where its rank is set."""
_random = np.random.default_rng()


def set_mode_cpu() -> None:
    """Computes on the CPU from now on. Without this or set_mode_gpu, JAX chooses: the first GPU, if there is one."""
    global _on_gpu  # noqa: PLW0603
    jax.config.update("jax_default_device", "cpu")  # by name: this does not start JAX, so processes may still be forked
    _on_gpu = False


def set_mode_gpu() -> None:
    """Computes on the GPU chosen by set_device from now on.

    Raises DeviceError if there is no such GPU, and NetError in a process that was forked after JAX started.
    """
    global _on_gpu  # noqa: PLW0603
    forked.check()
    gpus = jax_setup.gpus("set_mode_gpu: ", otherwise="set_mode_cpu() computes on the CPU.")
    if _device >= len(gpus):
        raise DeviceError(f"set_device: there is no GPU {_device}; there are {len(gpus)}, numbered from 0.")
    jax.config.update("jax_default_device", gpus[_device])
    _on_gpu = True


def set_device(device: int) -> None:
    """Chooses the GPU for set_mode_gpu; if a GPU is in use, switches at once. Raises DeviceError."""
    global _device  # noqa: PLW0603  one device per process, as in Caffe
    _device = index(device)
    if _device < 0:
        raise DeviceError(f"set_device: {device} is not a device; devices are numbered from 0.")
    if _on_gpu:
        set_mode_gpu()


def set_random_seed(seed: int) -> None:
    """Seeds the fillers of nets and the random layers, so that from here on every run draws the same numbers."""
    global _random  # noqa: PLW0603  one stream per process, as in Caffe
    _random = np.random.default_rng(index(seed) % 2**64)


def next_seed() -> int:
    """The seed of the next net, or of the next pass."""
    return int(_random.integers(2**32))


def solver_count() -> int:
    """How many solvers, each in its own process, train one net together."""
    return _count


def set_solver_count(count: int) -> None:
    """Must be called before the solver is made, which then reads its own share of the batches. Raises SolverError."""
    global _count  # noqa: PLW0603
    if index(count) < 1:
        raise SolverError(f"set_solver_count: {count} solvers; there must be 1 or more.")
    _count = index(count)


def solver_rank() -> int:
    """The rank of this thread's solver. Rank 0 runs the tests, writes the snapshots and displays."""
    return getattr(_of_thread, "rank", 0)


def set_solver_rank(rank: int) -> None:
    """Must be called before the solver is made. Raises SolverError."""
    if index(rank) < 0:
        raise SolverError(f"set_solver_rank: {rank} is not a rank; ranks are numbered from 0.")
    _of_thread.rank = index(rank)


def set_multiprocess(multiprocess: bool) -> None:
    """Has no effect: here each solver always has its own process."""
