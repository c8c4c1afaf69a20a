"""The keys that random layers draw from."""

from typing import Any

import jax
import numpy as np


def base_key(seed: int) -> jax.Array:
    """`jax.random.key(seed)` of any integer, without the two programs that this compiles."""
    words: Any = np.array([0, seed % 2**32], np.uint32)
    key: jax.Array = jax.random.wrap_key_data(words, impl="threefry2x32")
    return key
