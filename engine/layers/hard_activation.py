"""HardSwish: made of straight lines and a parabola."""

import jax.numpy as jnp

from engine.layers.activation import Activation
from engine.layers.base import Array, Arrays, Context
from engine.layers.registry import layer


@layer("HardSwish")
class HardSwish(Activation):
    """y = x · min(max(x + 3, 0), 6) / 6 (Howard et al. 2019)."""

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        (x,) = bottoms
        return [x * jnp.clip(x + 3, 0, 6) / 6]
