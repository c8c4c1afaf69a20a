"""Lays out the elements under a kernel, im2col."""

from math import prod

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from engine.ops.window import Window

Array = jax.Array

WIDE = 64
"""Along an axis where the kernel is longer, one gather lays out its taps, each of which would else be an operation to
compile."""


def columns(x: Array, window: Window) -> Array:
    """x (N, C, *in) → (N, C · count(kernel), *out), the elements under the kernel, by channel in scan order."""
    x = lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0)] * 2 + [(p, p, 0) for p in window.pad])
    outputs = window.outputs(tuple(n - 2 * p for n, p in zip(x.shape[2:], window.pad, strict=True)))
    for i, (kernel, stride, dilation) in enumerate(zip(window.kernel, window.stride, window.dilation, strict=True)):
        axis, reach = 2 + 2 * i, (outputs[i] - 1) * stride + 1
        if kernel > WIDE:
            x = jnp.take(x, np.arange(kernel)[:, None] * dilation + np.arange(outputs[i]) * stride, axis)
            x = jnp.moveaxis(x, axis, 2 + i)
            continue
        taps = [lax.slice_in_dim(x, k * dilation, k * dilation + reach, stride, axis) for k in range(kernel)]
        x = jnp.stack(taps, 2 + i)
    return x.reshape(x.shape[0], x.shape[1] * prod(window.kernel), *outputs)
