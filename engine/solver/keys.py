"""The random keys of layers."""

from typing import Any

import jax
import numpy as np


def base_key(seed: int) -> jax.Array:
    """`jax.random.key(seed)` for any integer, without compiling the two programs that JAX's function needs."""
    words: Any = np.array([0, seed % 2**32], np.uint32)
    key: jax.Array = jax.random.wrap_key_data(words, impl="threefry2x32")
    return key
