"""What a device does to the pictures of a batch before the net has them."""

import jax
import jax.numpy as jnp
from jax import lax

from engine.data.pixels import Pixels

Array = jax.Array


@jax.jit
def finished(pixels: Pixels) -> Array:
    """(values − mean) · scale, float32 (n, channels, height, width): as `Transform` has it on the host, bit for bit."""
    x = jnp.asarray(pixels.values, jnp.float32)
    if pixels.mean is not None:
        x = x - (pixels.mean if pixels.corners is None else _windows(pixels))
    return x if pixels.scale is None else x * pixels.scale


def _windows(pixels: Pixels) -> Array:
    """The part of the mean's picture that each of the batch has."""
    mean, size = jnp.asarray(pixels.mean), pixels.values.shape[1:]

    def window(corner: Array, mirrored: Array) -> Array:
        part = lax.dynamic_slice(mean, (0, *corner), size)
        return jnp.where(mirrored, part[..., ::-1], part)

    made: Array = jax.vmap(window)(jnp.asarray(pixels.corners), jnp.asarray(pixels.mirrored))
    return made
