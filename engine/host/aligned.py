"""Arrays that a device on the host's memory can take as they are."""

from math import prod

import numpy as np

ALIGNMENT = 64
"""Bytes: what XLA wants of memory that it shall use and not copy."""


def empty(shape: tuple[int, ...]) -> np.ndarray:
    """A new float32 array with nothing in it yet, its first value at an address that XLA takes."""
    size = 4 * prod(shape)
    memory = np.empty(size + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + size].view(np.float32).reshape(shape)
