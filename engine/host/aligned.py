"""Arrays in host memory that XLA's CPU device can use without a copy."""

from math import prod

import numpy as np

ALIGNMENT = 64
"""The alignment in bytes of memory that XLA uses without a copy."""


def empty(shape: tuple[int, ...]) -> np.ndarray:
    """A new, uninitialized float32 array, aligned for XLA."""
    size = 4 * prod(shape)
    memory = np.empty(size + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + size].view(np.float32).reshape(shape)
