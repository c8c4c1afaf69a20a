"""A value with the gradient of something else, for layers whose gradient in Caffe is not their derivative."""

import jax.numpy as jnp
from jax import Array, custom_jvp, custom_vjp


@custom_jvp
def with_gradient_of(value: Array, z: Array) -> Array:
    """`value`, with the derivative of z, an array of the same shape. The values of z are not used, even if NaN."""
    return value


@with_gradient_of.defjvp
def _of_other(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    value, _ = primals
    return value, tangents[1].astype(value.dtype)


@custom_vjp
def unweighted(value: Array, z: Array) -> Array:
    """`value`, a loss, with the gradient of the scalar z, whatever the loss's weight."""
    return value


def _unweighted_forward(value: Array, z: Array) -> tuple[Array, Array]:
    return value, z


def _unweighted_backward(z: Array, g: Array) -> tuple[Array, Array]:
    return jnp.zeros_like(g), jnp.ones_like(z)


unweighted.defvjp(_unweighted_forward, _unweighted_backward)
