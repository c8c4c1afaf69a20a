"""A value with the gradient of something else, for layers whose gradient in Caffe is not their derivative."""

from jax import Array
from jax.lax import stop_gradient


def with_gradient_of(value: Array, z: Array) -> Array:
    """`value`, with the derivative of z, an array of its shape whose own value does not count but must be finite."""
    return stop_gradient(value) + (z - stop_gradient(z))
