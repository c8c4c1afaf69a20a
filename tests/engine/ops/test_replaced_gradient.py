"""with_gradient_of."""

import jax
import jax.numpy as jnp

from engine.ops.replaced_gradient import with_gradient_of


def test_the_value_is_the_first_and_the_gradient_that_of_the_second():
    value, slope = jax.value_and_grad(lambda x: with_gradient_of(jnp.exp(x), 5 * x))(jnp.float32(1.5))
    assert value == jnp.exp(jnp.float32(1.5))
    assert slope == 5


def test_an_infinite_second_leaves_the_value():
    assert with_gradient_of(jnp.float32(2), jnp.float32(jnp.inf)) == 2
