"""The part of a batch's transformation that is done on the device, before the net gets the pictures."""

import jax
import jax.numpy as jnp
from jax import lax

from engine.data.pixels import Pixels

Array = jax.Array


@jax.jit
def finished(pixels: Pixels) -> Array:
    """(values − mean) · scale, float32 (n, channels, height, width); bit for bit what `Transform` makes on the host."""
    x = jnp.asarray(pixels.values, jnp.float32)
    if pixels.mean is not None:
        x = x - (pixels.mean if pixels.corners is None else _windows(pixels))
    return x if pixels.scale is None else x * pixels.scale


def _windows(pixels: Pixels) -> Array:
    """The part of the mean image that each picture of the batch was cropped from."""
    mean, size = jnp.asarray(pixels.mean), pixels.values.shape[1:]

    def window(corner: Array, mirrored: Array) -> Array:
        part = lax.dynamic_slice(mean, (0, *corner), size)
        return jnp.where(mirrored, part[..., ::-1], part)

    windows: Array = jax.vmap(window)(jnp.asarray(pixels.corners), jnp.asarray(pixels.mirrored))
    return windows
