"""What Caffe keeps for the whole process: the device, the seed of what is random, its place among several."""

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
"""`rank`: solvers are made in processes or threads of their own, and each says its rank there."""
_random = np.random.default_rng()


def set_mode_cpu() -> None:
    """Computes on the CPU from now on. Without this or set_mode_gpu, JAX chooses: the first GPU where there is one."""
    global _on_gpu  # noqa: PLW0603
    jax.config.update("jax_default_device", "cpu")  # by name: JAX stays asleep, and processes may be forked off
    _on_gpu = False


def set_mode_gpu() -> None:
    """Computes on the GPU that set_device names. Raises DeviceError where there is none, NetError where it cannot."""
    global _on_gpu  # noqa: PLW0603
    forked.check()
    gpus = jax_setup.gpus("set_mode_gpu: ", otherwise="set_mode_cpu() computes on the CPU.")
    if _device >= len(gpus):
        raise DeviceError(f"set_device: there is no GPU {_device}; there are {len(gpus)}, from 0 on.")
    jax.config.update("jax_default_device", gpus[_device])
    _on_gpu = True


def set_device(device: int) -> None:
    """The number of the GPU that set_mode_gpu takes; the one in use changes at once. Raises DeviceError."""
    global _device  # noqa: PLW0603  one device a process, as in Caffe
    _device = index(device)
    if _device < 0:
        raise DeviceError(f"set_device: {device} is no device; they are counted from 0.")
    if _on_gpu:
        set_mode_gpu()


def set_random_seed(seed: int) -> None:
    """From here on nets are filled, and random layers draw, the same numbers in every run."""
    global _random  # noqa: PLW0603  one stream a process, as in Caffe
    _random = np.random.default_rng(index(seed) % 2**64)


def next_seed() -> int:
    """The seed of the next net, or of the next pass."""
    return int(_random.integers(2**32))


def solver_count() -> int:
    """How many solvers, each in a process of its own, train one net."""
    return _count


def set_solver_count(count: int) -> None:
    """Said before the solver is made, which then reads its own share of the batches. Raises SolverError."""
    global _count  # noqa: PLW0603
    if index(count) < 1:
        raise SolverError(f"set_solver_count: {count} solvers; 1 or more is possible.")
    _count = index(count)


def solver_rank() -> int:
    """Which of them this thread has; the first, 0, tests, writes snapshots and shows."""
    return getattr(_of_thread, "rank", 0)


def set_solver_rank(rank: int) -> None:
    """Said before the solver is made. Raises SolverError."""
    if index(rank) < 0:
        raise SolverError(f"set_solver_rank: {rank} is no rank; they are counted from 0.")
    _of_thread.rank = index(rank)


def set_multiprocess(multiprocess: bool) -> None:
    """Whether each solver has a process of its own: here they always have, whatever is said."""
